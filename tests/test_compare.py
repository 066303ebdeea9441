"""`bench compare`: two cells, or two runs, side by side; its figures are recomputed from the files."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from bench.cli import run_command_line
from bench.plan.catalogue import using
from bench.plan.protocol import Protocol
from bench.studies.load import load_study
from tests.test_several import FAKE, place, write_cells

PROTOCOL = Protocol("pebbles", epochs=2, batch_size=32)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of widths on two networks, four seeds."""
    folder = tmp_path_factory.mktemp("compare") / "results"
    with using(load_study(FAKE)):
        write_cells(folder, 4, PROTOCOL)
    return folder


def compare(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    capsys.readouterr()
    assert run_command_line(["compare", FAKE, *map(str, arguments)]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


def cells_of(folder: Path) -> dict[str, "pd.Series[float]"]:
    rows = pd.read_csv(place(folder) / "trials.csv")
    return {str(cell): one.set_index("seed")["test_accuracy"] for cell, one in rows.groupby(["architecture", "width"])}


def test_two_cells_have_their_means_and_the_paired_interval(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = compare(capsys, "otter", "otter  width=16", "--results", results).replace("\N{MINUS SIGN}", "-")
    cells = cells_of(results)
    first, second = (next(v for k, v in cells.items() if "otter" in k and f"{w}" in k) for w in (8, 16))
    difference = second - first
    step = 1 / pd.read_csv(place(results) / "correct.csv")["images"].iloc[0]  # a smaller spread is not believed
    interval = stats.t.interval(0.95, 3, difference.mean(), max(difference.std(), step) / 2)
    lines = {line[:22].strip(): line[22:].split("  ") for line in text.splitlines()}
    said = {name: [part.strip() for part in parts if part.strip()] for name, parts in lines.items()}
    assert said["test accuracy"] == [
        f"{first.mean() * 100:.2f} %",
        f"{second.mean() * 100:.2f} %",
        f"{difference.mean() * 100:+.2f}",
    ]
    assert said["95 % interval"][2] == f"{interval[0] * 100:+.2f} to {interval[1] * 100:+.2f}"
    assert said["seeds"] == ["4", "4", "4 of both"]
    assert "What changes: width." in text


def test_two_folders_are_compared_cell_by_cell(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other has a cell less, and all accuracies higher by a point."""
    other = tmp_path / "other"
    shutil.copytree(results, other)
    path = place(other) / "trials.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows["test_accuracy"] = (rows["test_accuracy"].astype(float) + 0.01).astype(str)
    rows[(rows["architecture"] != "heron") | (rows["width"] != "16")].to_csv(path, index=False, lineterminator="\n")
    text = compare(capsys, results, other)
    lines = [line for line in text.splitlines() if line.startswith("otter")]
    assert lines
    assert all("+1.00" in line and line.rstrip().endswith("4, 4") for line in lines)
    assert f"Only {results} has heron width=16." in text


def test_what_is_unknown_is_said_in_a_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = compare(capsys, "otter", "otter width=61", "--results", results, code=2)
    assert "no cell or run is called 'otter width=61': did you mean otter width=" in said
    said = compare(capsys, results, "otter", code=2)
    assert "is a run and 'otter' is none" in said
