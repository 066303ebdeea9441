"""What is committed agrees: README, log and reports with the rows, the networks with their baseline, types with each
other."""

import subprocess
import sys
from importlib.util import find_spec

import pandas as pd
import pytest

from bench.cli import run_command_line
from tests.perf import planted
from tests.test_record import ROOT


@pytest.mark.parametrize("command", ["readme --check --file README.md --file reports/mnist/LOG.md", "check exact"])
def test_a_command_finds_nothing_to_say_against_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert run_command_line(command.split()) == 0, capsys.readouterr()


def test_the_readme_has_what_the_gate_caught() -> None:
    assert planted.table(pd.read_csv(planted.ROWS)) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed: pip install .[typing]")
def test_types_are_sound() -> None:
    """Here and not before the tests, so that the other cores test meanwhile."""
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
