"""Rows of schema 1, as the committed study has them, and files that grow by a column."""

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.plan.catalogue import catalogue, read_levels, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record import reading
from bench.record.columns import columns
from bench.record.schema import TrialRow
from bench.record.schema1 import schema_1_parts
from bench.record.store import Store
from bench.run.networks import network_today
from bench.run.rows import name_trials
from bench.train.data import Data, Split
from tests.catalogues import grown, untouched
from tests.test_record import ROW

FACTORS = catalogue().factors

STUDY = Path(__file__).parent.parent / "results" / "mnist"


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    trials = Store(STUDY).trials()
    return trials[trials["schema"] == 1]


def key_today(row: "pd.Series[Any]") -> str:
    """The key that a row's trial has today, on data with the row's digest."""
    cell = Cell(str(row["architecture"]), read_levels({f.name: row[f.column] for f in FACTORS}))
    names = ("dataset", "epochs", "batch_size", "optimizer", "lr", "precision", "device", "val")
    trial = Trial(cell, int(str(row["seed"])), Protocol(**{name: row[name] for name in names}))
    import torch

    nothing = Split(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    [named] = name_trials([trial], Data("mnist", nothing, nothing, 10), str(row["data"]))
    return named.key


def test_the_study_is_read_whole(study: pd.DataFrame) -> None:
    with (STUDY / "trials.csv").open(newline="") as file:
        recorded = [row for row in csv.DictReader(file) if row["schema"] == "1"]
    assert len(study) == len(recorded) == 275
    assert study["test_accuracy"].tolist() == [float(row["test_accuracy"]) for row in recorded]
    assert study["code"].tolist() == [row["code"] for row in recorded]
    assert study[["input", "classes"]].drop_duplicates().to_numpy().tolist() == [["1x28x28", 10]]
    epochs = Store(STUDY).epochs()
    assert set(study["trial"]) <= set(epochs["trial"])
    assert (epochs.groupby("trial").size() == 15).all()


def test_the_studys_networks_are_todays(study: pd.DataFrame) -> None:
    last = study[study["code"] == "1905bfeb03dccb16"]
    for _, row in last.drop_duplicates(["architecture", *(f.column for f in FACTORS)]).iterrows():
        cell = Cell(str(row["architecture"]), read_levels({f.name: row[f.column] for f in FACTORS}))
        assert row["network"] == network_today(cell, "1x28x28", 10), cell.label


def test_float32_rows_of_the_last_code_are_valid_and_bfloat16_rows_are_stale_in_their_evaluation(
    study: pd.DataFrame,
) -> None:
    """Whoever changes the training on purpose makes the first half fail, and says here which rows are stale since."""
    last = study[study["code"] == "1905bfeb03dccb16"]
    parts = schema_1_parts().pivot_table(index="training", columns="part", values="digest", aggfunc="first")
    for precision, expected in (("fp32", True), ("bf16", False)):
        rows = last[last["precision"] == precision]
        assert len(rows) == (50 if precision == "fp32" else 170)
        for _, row in rows.drop_duplicates(["architecture", "scheduler", "augmentation", "seed"]).head(40).iterrows():
            assert (row["trial"] == key_today(row)) is expected
            assert (parts["evaluation"][str(row["training"])] != "schema1-in-bf16") is expected


def test_rows_of_other_code_or_other_networks_match_no_trial_of_today(study: pd.DataFrame, tmp_path: Path) -> None:
    older = study[study["code"] != "1905bfeb03dccb16"]
    assert len(older) == 55
    assert (older["training"] == older["code"]).all()
    with (STUDY / "trials.csv").open(newline="") as file:
        [row, *_] = [row for row in csv.DictReader(file) if row["code"] == "1905bfeb03dccb16"]
    row["trial"] = "0" * 16  # as if its layers had been others
    with (tmp_path / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    read = Store(tmp_path).trials().iloc[0]
    assert read["network"] != network_today(preset_cell(str(read["architecture"])), "1x28x28", 10)


def test_a_row_of_today_joins_a_file_of_schema_1_and_both_are_read(tmp_path: Path) -> None:
    text = (STUDY / "trials.csv").read_text()
    old = [line for line in text.splitlines() if line.startswith(("schema", "1,"))][:4]
    (tmp_path / "trials.csv").write_text("\n".join(old) + "\n")
    before = Store(tmp_path).trials()
    Store(tmp_path).add_trial(ROW)
    after = Store(tmp_path).trials()
    pd.testing.assert_frame_equal(after.iloc[:3], before, check_dtype=False)
    assert after.iloc[3]["network"] == ROW.network
    assert after["schema"].tolist() == [1, 1, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]


@pytest.fixture
def smoothing() -> Iterator[None]:
    """A sixth factor."""
    with using(grown([Factor("smoothing", (0.0, 0.1), change=untouched)])):
        yield


@pytest.mark.usefixtures("smoothing")
def test_rows_written_before_a_factor_existed_read_as_its_off(tmp_path: Path) -> None:
    text = (STUDY / "trials.csv").read_text()
    (tmp_path / "trials.csv").write_text(text)
    trials = Store(tmp_path).trials()
    trials = trials[trials["schema"] == 1]
    assert len(trials) == 275
    assert (trials["smoothing"] == 0.0).all()


@pytest.mark.usefixtures("smoothing")
def test_a_factor_is_a_column_from_the_first_row_on_that_uses_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW)
    written = (tmp_path / "trials.csv").read_bytes()
    unused = dataclasses.replace(ROW, trial="b", levels={**ROW.levels, "smoothing": 0.0})
    store.add_trial(unused)
    assert (tmp_path / "trials.csv").read_bytes().startswith(written)
    used = dataclasses.replace(ROW, trial="c", levels={**ROW.levels, "smoothing": 0.1})
    store.add_trial(used)
    header = (tmp_path / "trials.csv").read_text().partition("\n")[0].split(",")
    assert header == columns(TrialRow, ["batch_norm", "gap", "dropout", "augmentation", "scheduler", "smoothing"])
    assert Store(tmp_path).trials()["smoothing"].tolist() == [0.0, 0.0, 0.1]
    assert Store(tmp_path).trials()["dropout"].tolist() == [0.1, 0.1, 0.1]


def test_a_factor_that_the_catalogue_does_not_know_is_read_as_it_stands(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(dataclasses.replace(ROW, levels={**ROW.levels, "width": 8, "norm": "layer"}))
    store.add_trial(dataclasses.replace(ROW, trial="b"))
    trials = Store(tmp_path).trials()
    assert trials["width"].tolist() == [8.0, None]
    assert trials["norm"].tolist() == ["layer", None]


@pytest.mark.usefixtures("smoothing")
def test_a_file_that_cannot_be_read_is_not_rewritten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW)
    text = (tmp_path / "trials.csv").read_text().replace(",done,", ",finished,")
    (tmp_path / "trials.csv").write_text(text)
    with pytest.raises(reading.StoreError, match="line 2: status is none of"):
        Store(tmp_path).add_trial(dataclasses.replace(ROW, trial="c", levels={**ROW.levels, "smoothing": 0.1}))
    assert (tmp_path / "trials.csv").read_text() == text
