"""What `run --val` compares on held-out training images: in its table, and in the report."""

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from bench.cli import run_command_line

RUN = "run --models model3 --factors dropout,batch_norm --epochs 1 --dataset digits --workers 0 --no-timing"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows on the test set of a preset; on 200 held-out images of it and two more cells; on 100 of a fourth."""
    where = tmp_path_factory.mktemp("held_out")
    places = ["--results", str(where / "results"), "--reports", str(where / "reports")]
    for options in (
        "--seeds 3 --val 200",
        "--design presets --seeds 1 --val 100",
        "--design presets --seeds 5 --val 200 --lr 0.02",
        "--design presets --seeds 1",
    ):
        assert run_command_line([*RUN.split(), *options.split(), *places]) == 0
    return where


def test_a_run_shows_how_much_more_than_the_preset_a_cell_reaches(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "3", "--val", "200", "--results", str(folder / "results")]
    assert run_command_line([*RUN.split(), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "over" in next(line for line in lines if line.startswith("cell "))
    [preset] = [line for line in lines if line.startswith("model3 ") and "=" not in line]
    [dropped] = [line for line in lines if line.startswith("model3 dropout=0.1 ")]
    assert " to " not in preset
    assert " to " in dropped


def test_a_report_compares_the_cells_of_its_protocol_and_of_no_selection(folder: Path) -> None:
    rows = pd.read_csv(folder / "results" / "digits" / "selection.csv")
    rows = rows[(rows["val"] == 200) & (rows["lr"] == rows["selected_lr"])]
    table = pd.read_csv(folder / "reports" / "digits" / "tables" / "held_out.csv").set_index("cell")
    assert set(table.index) == {"model3", "model3 batch_norm=off", "model3 dropout=0.1"}
    assert set(table["n"]) == {3}
    assert table["over_preset"].isna().to_dict()["model3"]
    of_preset = rows[(rows["dropout"] == 0) & (rows["batch_norm"] == "on")].set_index("seed")["val_accuracy"]
    dropped = rows[rows["dropout"] == 0.1].set_index("seed")["val_accuracy"]
    difference = dropped - of_preset
    half = stats.sem(difference) * stats.t.ppf(0.975, 2)
    found = table.loc["model3 dropout=0.1"]
    assert found["accuracy"] == pytest.approx(dropped.mean())
    assert found["over_preset"] == pytest.approx(difference.mean())
    assert found["over_preset_high"] == pytest.approx(difference.mean() + half)
    assert found["verdict"] in {"hurts", "tentative", "inconclusive"}
