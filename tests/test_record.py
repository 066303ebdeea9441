"""Rows, the store and the digest of the training code."""

import dataclasses
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.record.machine import this_machine
from bench.record.schema import SCHEMA, ConfusionRow, CorrectRow, EpochRow, TrialRow, columns, to_cells
from bench.record.store import Store, StoreError, WriteError
from bench.run.code import code_digest, normalised

ROOT = Path(__file__).parent.parent

ROW = TrialRow(
    schema=SCHEMA,
    trial="00000000000000aa",
    run="r",
    design="toggles",
    dataset="digits",
    architecture="model1",
    levels={"batch_norm": "off", "gap": "on", "dropout": 0.1, "augmentation": "none", "scheduler": "step"},
    seed=0,
    epochs=15,
    batch_size=64,
    optimizer="sgd",
    lr=0.01,
    selected_lr=0.01,
    precision="fp32",
    device="cpu",
    val=0,
    status="done",
    error=None,
    test_accuracy=0.1 + 0.2,
    test_loss=1e-17,
    val_accuracy=None,
    val_loss=None,
    train_accuracy=1.0,
    train_loss=0.0,
    best_test_accuracy=0.5,
    epochs_to_99=None,
    parameters=7616,
    macs=1,
    receptive_field=34,
    train_seconds=1.5,
    train_images_per_second=2.5,
    peak_memory_bytes=2**31,
    started_at="2026-01-01T00:00:00Z",
    input="1x28x28",
    classes=10,
    network="0000000000000002",
    training="0000000000000003",
    data="0000000000000001",
    code="1e10000000000000",
    machine="000000000001",
)


def epoch(trial: str, number: int) -> EpochRow:
    return EpochRow(trial, number, 0.5, 1.0, 0.6, 0.9, None, None, 0.01, 2.0)


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    store = Store(tmp_path / "digits")
    failed = dataclasses.replace(
        ROW, trial="b", status="failed", error='a "bad", =cmd() day\nwith two lines', test_accuracy=None
    )
    store.add_trial(ROW, [epoch(ROW.trial, 1), epoch(ROW.trial, 2), CorrectRow(ROW.trial, 8, "/w==")])
    store.add_trial(failed)
    trials = store.trials()
    assert list(trials.columns) == columns(TrialRow)
    first, second = (trials.iloc[index] for index in (0, 1))
    assert first["test_accuracy"] == 0.1 + 0.2
    assert first["test_loss"] == 1e-17
    assert first[["batch_norm", "gap"]].tolist() == ["off", "on"]
    assert first[["augmentation", "trial", "data", "code"]].tolist() == [
        "none",
        ROW.trial,
        ROW.data,
        ROW.code,
    ]
    assert second["error"] == 'a "bad", =cmd() day with two lines'
    assert trials["val_accuracy"].isna().all()
    assert store.epochs()["epoch"].tolist() == [1, 2]


def test_a_column_that_trials_lacked_before_is_not_optional_elsewhere(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW, [ConfusionRow(ROW.trial, 10, "0:0:7")])
    assert store.confusion()["classes"].tolist() == [10]
    assert store.confusion()["classes"].dtype == "int64"
    (tmp_path / "confusion.csv").write_text("trial,classes,counts\na,,0:0:7\n")
    with pytest.raises(StoreError, match="line 2: classes is not a whole number"):
        store.confusion()


def test_every_row_is_one_line() -> None:
    assert all("\n" not in cell for cell in to_cells(dataclasses.replace(ROW, error="a\nb\r\nc"), columns(TrialRow)))


def test_an_empty_store_has_columns_and_no_rows(tmp_path: Path) -> None:
    store = Store(tmp_path / "nothing")
    assert list(store.trials().columns) == columns(TrialRow)
    assert len(store.trials()) == len(store.epochs()) == len(store.timings()) == 0
    assert not store.folder.exists()


def test_epochs_of_a_trial_without_a_row_never_happened(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW, [epoch(ROW.trial, 1), epoch("unfinished", 1)])
    assert store.epochs()["trial"].tolist() == [ROW.trial]


def test_a_torn_last_line_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW)
    whole = store.trials_path.read_bytes()
    store.trials_path.write_bytes(whole + b"1,half a li")
    assert store.trials()["trial"].tolist() == [ROW.trial]
    with caplog.at_level(logging.WARNING):
        store.add_trial(dataclasses.replace(ROW, trial="c"))
    assert store.trials()["trial"].tolist() == [ROW.trial, "c"]
    assert store.trials_path.read_bytes().startswith(whole)
    assert (tmp_path / "trials.csv.torn").read_bytes() == b"1,half a li\n"
    assert "ended in half a line" in caplog.text


def test_a_file_with_other_columns_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.trials_path.write_text("a,b\n1,2\n")
    for act in (store.trials, lambda: store.add_trial(ROW)):
        with pytest.raises(StoreError, match=r"trials\.csv has other columns than this version writes"):
            act()
    assert store.trials_path.read_text() == "a,b\n1,2\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"epochs\.csv can't be written"):
        Store(tmp_path / "file").add_trial(ROW, [epoch(ROW.trial, 1)])


def test_a_machine_is_recorded_once_and_never_named(tmp_path: Path) -> None:
    import getpass
    import platform

    for _ in range(2):
        store = Store(tmp_path)
        store.add_machine(this_machine())
        store.add_machine(this_machine())
    text = (tmp_path / "machines.csv").read_text()
    assert text.count("\n") == 2
    assert platform.node() not in text.split(",")
    assert str(Path.home()) not in text
    assert getpass.getuser() not in text.replace("\n", ",").split(",")


def test_the_code_digest_sees_code_and_nothing_else() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n\ndef f(x):  # why\n    """What."""\n    return (x\n            + 1)\n'
    assert normalised(plain) == normalised(dressed)
    assert normalised(plain) != normalised(plain.replace("+ 1", "+ 2"))
    assert normalised('class A:\n    """Only words."""\n') == normalised("class A:\n    pass\n")
    assert len(code_digest()) == 16


@pytest.mark.parametrize("torn", [b"", b"sch", b"schema,trial"])
def test_a_file_that_was_cut_short_in_its_first_line_starts_anew(tmp_path: Path, torn: bytes) -> None:
    store = Store(tmp_path)
    store.trials_path.write_bytes(torn)
    assert store.trials().empty
    store.add_trial(ROW)
    assert store.trials()["trial"].tolist() == [ROW.trial]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """A real limit on the size of files, in a process of its own; what was left in between is taken back."""
    store = Store(tmp_path)
    store.add_trial(ROW)
    before = store.trials_path.read_bytes()
    code = (
        "import resource, sys; from pathlib import Path; from bench.record.store import Store, WriteError; "
        "from tests.test_record import ROW; import dataclasses; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 50}, resource.RLIM_INFINITY)); "
        f"store = Store(Path({str(tmp_path)!r}))\n"
        "try: store.add_trial(dataclasses.replace(ROW, trial='b'))\n"
        "except WriteError as error: sys.exit(str(error))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{store.trials_path} can't be written: File too large"
    assert store.trials_path.read_bytes() == before


def test_a_folder_that_vanishes_is_not_made_anew(tmp_path: Path) -> None:
    store = Store(tmp_path / "mnist")
    store.add_trial(ROW)
    shutil.rmtree(tmp_path / "mnist")
    with pytest.raises(WriteError, match="its folder has vanished"):
        store.add_trial(ROW)
    assert not (tmp_path / "mnist").exists()


def test_one_run_writes_at_a_time(tmp_path: Path) -> None:
    here, there = Store(tmp_path / "a"), Store(tmp_path / "b")
    with (
        here.lock(),
        there.lock(),
        pytest.raises(StoreError, match="another run is writing to"),
        Store(here.folder).lock(),
    ):
        pass
    with Store(here.folder).lock():
        pass
