"""What is committed agrees: README, log and reports with the rows, the networks with their baseline."""

import pytest

from bench.cli import run_command_line
from tests.test_record import ROOT


@pytest.mark.parametrize("command", ["readme --check --file README.md --file reports/mnist/LOG.md", "check exact"])
def test_a_command_finds_nothing_to_say_against_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert run_command_line(command.split()) == 0, capsys.readouterr()
