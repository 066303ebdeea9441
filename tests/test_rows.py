"""`bench rows`, and what it is printed from: predictions, labels, cells, truth values."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import using
from bench.plan.factors import Factor
from bench.record.classes import packed_classes, unpacked_bits, unpacked_classes
from bench.record.joined import join_rows
from bench.record.store import Store
from bench.train.data import Data
from tests.catalogues import grown, untouched

RUN = "run --models model3 --factors gap --epochs 1 --dataset digits --workers 0 --no-report --no-timing --results"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells, two seeds."""
    folder = tmp_path_factory.mktemp("rows")
    assert run_command_line([*RUN.split(), str(folder), "--seeds", "2"]) == 0
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> pd.DataFrame:
    capsys.readouterr()
    assert run_command_line(["rows", *map(str, arguments)]) == 0
    return pd.read_csv(io.StringIO(capsys.readouterr().out))


@pytest.mark.parametrize("classes", [[], [0, 255], [256, 3, 65_535]])
def test_classes_come_back(classes: list[int]) -> None:
    assert unpacked_classes(packed_classes(classes), len(classes)).tolist() == classes


@pytest.mark.parametrize("text", ["AAA", "AAAA", "!", "AAAAAAAAAAAAAAAA"])
def test_what_are_no_classes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bytes|base64|padding|Only|Invalid"):
        unpacked_classes(text, 2)
    with pytest.raises(ValueError, match=r"bytes|base64|padding|Only|Invalid"):
        unpacked_bits(text, 80)


def test_a_row_a_trial(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--results", results)
    assert found["cell"].tolist() == ["model3", "model3 gap=off", "model3", "model3 gap=off"]
    assert found["is_preset"].tolist() == [True, False, True, False]
    assert {name: found[name].dtype for name in ("is_preset", "gap", "batch_norm")} == dict.fromkeys(
        ("is_preset", "gap", "batch_norm"), np.dtype(bool)
    )
    assert found["gap"].tolist() == [True, False, True, False]
    assert found["dropout"].dtype == float
    assert found["machine_cores"].dtype == found["macs"].dtype == int
    recorded = Store(results / "digits").trials()
    assert found["test_accuracy"].tolist() == recorded["test_accuracy"].tolist()
    assert found["trial"].tolist() == recorded["trial"].tolist()


def test_a_row_an_epoch(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--results", results, "--epochs")
    assert found["epoch"].tolist() == [1] * 4
    assert found["cell"].tolist() == ["model3", "model3 gap=off", "model3", "model3 gap=off"]
    assert found["test_accuracy"].tolist() == Store(results / "digits").trials()["test_accuracy"].tolist()


def test_a_row_an_image(results: Path, capsys: pytest.CaptureFixture[str], digits: Data) -> None:
    found = printed(capsys, "--results", results, "--images", "--dataset", "digits")
    images = len(digits.held_out)
    assert len(found) == 4 * images
    assert found["right"].dtype == bool
    assert ((found["label"] == found["predicted"]) == found["right"]).all()
    assert found["label"].tolist() == 4 * digits.held_out.labels.tolist()
    reached = found.groupby("trial", sort=False)["right"].mean()
    expected = Store(results / "digits").trials().set_index("trial")["test_accuracy"]
    assert reached.tolist() == expected.tolist()
    counts = Store(results / "digits").confusion()["counts"].iloc[0].split()
    first = found[found["trial"] == found["trial"].iloc[0]]
    assert {tuple(map(int, pair.split(":"))) for pair in counts} == {
        (label, predicted, n) for (label, predicted), n in first.groupby(["label", "predicted"]).size().items()
    }


def test_json_lines_hold_truth_values_and_nothing_for_gaps(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["rows", "--results", str(results), "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["is_preset"] for line in lines] == [True, False, True, False]
    assert {line["val_accuracy"] for line in lines} == {None}


def test_rows_written_before_predictions_were_kept_still_read(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(results, tmp_path / "old")
    for name in ("predicted", "labels"):
        (tmp_path / "old" / "digits" / f"{name}.csv").unlink()
    found = printed(capsys, "--results", tmp_path / "old", "--images")
    assert found["predicted"].isna().all()
    assert found["right"].tolist() == printed(capsys, "--results", results, "--images")["right"].tolist()


def test_a_switch_of_a_factor_that_is_gone_is_read_as_well(results: Path) -> None:
    store = Store(results / "digits")
    with using(grown([Factor("mixup", (False, True), change=untouched)])):
        text = store.trials_path.read_text().splitlines()
        assert not join_rows([Store(results / "digits")]).trials["mixup"].any()
    header, *lines = text
    wide = [f"{header},mixup", *(f"{line},{'on' if at else 'off'}" for at, line in enumerate(lines))]
    folder = results.parent / "gone"
    shutil.copytree(results / "digits", folder, dirs_exist_ok=True)
    (folder / "trials.csv").write_text("\n".join([*wide, ""]))
    found = join_rows([Store(folder)]).trials
    assert found["mixup"].tolist() == [False, True, True, True]
    assert found["mixup"].dtype == bool
    assert found["cell"].tolist()[1] == "model3 gap=off mixup=on"


def test_a_row_of_a_network_that_is_gone_is_called_by_all_of_its_levels(results: Path) -> None:
    folder = results.parent / "other"
    shutil.copytree(results / "digits", folder, dirs_exist_ok=True)
    path = folder / "trials.csv"
    path.write_text(path.read_text().replace(",model3,", ",model0,"))
    found = join_rows([Store(folder)]).trials
    levels = "batch_norm=on gap=on dropout=0.0 augmentation=advanced scheduler=onecycle residual=off attention=off"
    assert found["cell"].iloc[0] == f"model0 {levels}"
    assert not found["is_preset"].any()


def test_folders_of_two_machines_join(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    assert run_command_line([*RUN.split(), str(other), "--seeds", "1-2"]) == 0
    found = printed(capsys, "--results", results, "--results", other)
    assert sorted(found["seed"]) == [0, 0, 1, 1, 2, 2]
    assert found["trial"].nunique() == 6
    assert len(printed(capsys, "--results", results, "--results", other, "--images")) == 6 * 899

    path = other / "digits" / "trials.csv"
    accuracy = str(Store(other / "digits").trials()["test_accuracy"].iloc[0])
    path.write_text(path.read_text().replace(accuracy, "0.5", 1))
    capsys.readouterr()
    assert run_command_line(["rows", "--results", str(results), "--results", str(other)]) == 0
    told = capsys.readouterr()
    assert told.err == (
        "bench: 1 trials ended otherwise in another of the folders; the first folder that has a trial counts\n"
    )
    assert "0.5" not in pd.read_csv(io.StringIO(told.out))["test_accuracy"].astype(str).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "--images"], "--epochs and --images exclude each other: give one of them"),
        (["--format", "xml"], "--format is one of csv, json, not 'xml'"),
        (
            ["--results", "nowhere"],
            "nowhere has no rows: make some with `python -m bench run --all`, or name another --results folder",
        ),
        (["--dataset", "../mnist"], "a data set's name is a plain word like pebbles, not '../mnist'"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["rows", *arguments]) in (1, 2)
    assert capsys.readouterr().err == f"bench: {message}\n"


def test_a_reader_that_has_enough_ends_it_quietly(results: Path) -> None:
    command = [sys.executable, "-m", "bench", "rows", "--images", "--results", str(results)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"trial,cell,is_preset")
        process.stdout.close()
        assert process.stderr.read() == b""
