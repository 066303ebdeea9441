"""The studies that the README shows work as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import run_command_line
from bench.record.store import Store

README = Path(__file__).parent.parent / "README.md"
STUDIES = [block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "STUDY =" in block]
TINY = "--epochs 1 --seeds 1 --workers 0 --precision fp32 --no-timing --no-report"


def write_pictures(folder: Path) -> None:
    """Pictures of two colours in folders of train and test."""
    for split, count in (("train", 40), ("test", 10)):
        for number, name in enumerate(("rose", "tulip")):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = np.random.default_rng(index).integers(0, 100, (20, 24, 3), dtype=np.uint8)
                pixels[..., number] += 100
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")


@pytest.mark.parametrize("number", [0, 1])  # the third needs MNIST's files, and is as that of examples/transfer
def test_a_study_of_the_readme_trains_every_cell(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures")
    # The embedded data stand in for files that may not be there.
    (tmp_path / "shown.py").write_text(STUDIES[number].replace('data="mnist"', 'data="digits"'))
    assert run_command_line(["run", "shown.py", *TINY.split()]) == 0, capsys.readouterr().err
    [folder] = (tmp_path / "results" / "shown").iterdir()
    trials = Store(folder).trials()
    assert (trials["status"] == "done").all()
    assert len(trials) == {0: 11, 1: 14}[number]  # with siblings at the preset's rate


def test_the_readme_shows_three_studies() -> None:
    assert len(STUDIES) == 3
