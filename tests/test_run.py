"""The main job, end to end, on digits: real processes, real files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import find_factors
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, trials
from bench.record.store import Store
from bench.run.pool import LocalPool
from bench.run.progress import Progress, describe, format_duration
from bench.run.runner import prepare_run, record, time_trials, train_missing
from bench.run.serial import Serial
from bench.run.worker import Trained, train_stack
from bench.train.data import Data, Split
from bench.train.outcome import Epoch, Outcome
from tests.test_crash import TIMES, curves

SHORT = Protocol("digits", epochs=1)


def trained_rows(folder: Path, planned: list[Trial], workers: int = 0) -> pd.DataFrame:
    """Without workers they are trained in this process."""
    run = prepare_run(planned, "presets", Path("unused"), folder)
    train_missing(run, run.missing(), lambda data, _stacks: LocalPool(workers, data) if workers else Serial(data))
    assert run.missing() == []
    return run.rows().sort_values("trial", ignore_index=True)


def test_rows_are_the_same_in_any_order_with_any_number_of_workers(tmp_path: Path) -> None:
    """In this process, and in three that go through the plan backwards."""
    planned = list(trials(map(preset_cell, ["model1", "model2", "model3"]), 2, SHORT))
    alone = trained_rows(tmp_path / "alone", planned, workers=0)
    together = trained_rows(tmp_path / "together", planned[::-1], workers=3)
    pd.testing.assert_frame_equal(alone.drop(columns=TIMES), together.drop(columns=TIMES))
    assert (alone["status"] == "done").all()

    one, other = (curves(Store(tmp_path / folder / "digits")) for folder in ("alone", "together"))
    pd.testing.assert_frame_equal(one, other)
    bits = [(tmp_path / folder / "digits" / "correct.csv").read_text() for folder in ("alone", "together")]
    assert sorted(bits[0].splitlines()) == sorted(bits[1].splitlines())


def test_correctness_bits_agree_with_the_accuracy(tmp_path: Path) -> None:
    import base64

    trained_rows(tmp_path, [Trial(preset_cell("model3"), 0, Protocol("digits", epochs=3))])
    correct = pd.read_csv(tmp_path / "digits" / "correct.csv").iloc[0]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(correct["correct"]), dtype=np.uint8))
    row = Store(tmp_path / "digits").trials().iloc[0]
    assert len(bits) - len(bits) % 8 == len(bits)
    assert bits[: correct["images"]].mean() == pytest.approx(row["test_accuracy"], abs=1e-12)
    assert not bits[correct["images"] :].any()


def test_the_command_trains_once_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--models", "model1,model3", "--design", "presets", "--seeds", "2", "--epochs", "1"]
    command += ["--dataset", "digits", "--results", str(tmp_path), "--workers", "2"]
    command += ["--reports", str(tmp_path / "reports")]
    assert run_command_line([*command, "--plan"]) == 0
    assert "2 cells x 2 seeds = 4 trials: 0 recorded, 4 to train" in capsys.readouterr().out
    assert not (tmp_path / "digits").exists()

    assert run_command_line(command) == 0
    first = capsys.readouterr()
    assert "0/4 starting workers; ETA " in first.err
    assert "4/4 " in first.err
    assert "ETA 0 s" in first.err
    assert "7,616" in first.out
    assert str(tmp_path / "digits" / "trials.csv") in first.out
    files = {path.name: path.read_bytes() for path in (tmp_path / "digits").glob("*.csv")}
    assert {name.removesuffix(".csv") for name in files} == {
        "trials",
        "epochs",
        "correct",
        "predicted",
        "labels",
        "confusion",
        "images",
        "timings",
        "machines",
        "parts",
    }
    page = tmp_path / "reports" / "digits" / "index.html"
    assert f"Report: {page}" in first.out
    assert "model1 at its preset reaches" in page.read_text()
    page.unlink()

    assert run_command_line(command) == 0
    second = capsys.readouterr()
    assert "4 recorded, 0 to train" in second.out
    assert first.out.split("\n\n")[1] == second.out.split("\n\n")[1]
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "digits").glob("*.csv")}

    assert page.exists()
    page.unlink()

    assert run_command_line([*command, "--seeds", "3", "--no-timing", "--no-report"]) == 0
    assert not page.exists()
    assert "4 recorded, 2 to train" in capsys.readouterr().out
    rows = Store(tmp_path / "digits").trials()
    assert len(rows) == rows["trial"].nunique() == 6


def test_timing_keeps_raw_samples_of_every_network(tmp_path: Path) -> None:
    cells = [preset_cell("model1"), preset_cell("model3")]
    run = prepare_run(list(trials(cells, 3, SHORT)), "presets", Path("unused"), tmp_path)
    time_trials(run, run.untimed())
    samples = run.store.timings()
    per_network = samples.groupby(["architecture", "metric"])["round"].agg(list)
    assert set(per_network.index) == {
        (model, metric) for model in ("model1", "model3") for metric in ("train", "inference", "latency")
    }
    assert all(rounds == [0, 1, 2, 3, 4] for rounds in per_network)
    assert (samples["seconds"] > 0).all()
    assert samples[samples["metric"] == "train"]["augmentation"].tolist() == ["basic", "advanced"] * 5
    assert samples[samples["metric"] != "train"]["augmentation"].isna().all()
    assert run.untimed() == []


def test_what_is_compared_is_timed_in_the_same_rounds(tmp_path: Path) -> None:
    """A cell that joins later is timed with its preset again, and with the other cells of its architecture."""
    [gap] = find_factors(["gap"])
    presets = [preset_cell("model1"), preset_cell("model3")]
    toggled = presets[1].with_level(gap, False)
    first = prepare_run(list(trials(presets, 1, SHORT)), "presets", Path("unused"), tmp_path)
    time_trials(first, first.untimed())
    later = prepare_run([Trial(toggled, 0, SHORT)], "toggles", Path("unused"), tmp_path)
    assert {trial.cell for trial in later.untimed()} == {presets[1], toggled}
    time_trials(later, later.untimed())
    timings = later.store.timings()
    of_later = timings[(timings["run"] == later.provenance.run) & (timings["metric"] == "train")]
    assert of_later.groupby(["architecture", "gap"])["round"].agg(list).to_dict() == {
        ("model3", "on"): [0, 1, 2, 3, 4],
        ("model3", "off"): [0, 1, 2, 3, 4],
    }
    for run in (first, later):
        assert run.untimed() == []


def test_rows_measured_on_training_images_go_to_a_file_of_their_own(tmp_path: Path) -> None:
    protocol = Protocol("digits", epochs=1, val=200)
    trained_rows(tmp_path, [Trial(preset_cell("model3"), 0, protocol)])
    assert not (tmp_path / "digits" / "trials.csv").exists()
    assert not (tmp_path / "digits" / "correct.csv").exists()
    store = Store(tmp_path / "digits", "selection.csv")
    row = store.trials().iloc[0]
    assert pd.isna(row["test_accuracy"])
    assert row["val_accuracy"] * 200 == pytest.approx(round(row["val_accuracy"] * 200))
    assert store.epochs()["test_accuracy"].isna().all()


def stain(stack: Sequence[Trial], data: Data) -> list[Trained]:
    data.train.images[0] = 77
    return [Trained(trial, None, "stained", "", None) for trial in stack]


def test_workers_share_one_copy_of_the_data(few_digits: Data) -> None:
    own = replace(few_digits, train=Split(few_digits.train.images.clone(), few_digits.train.labels.clone()))
    with LocalPool(1, own, train=stain) as pool:
        pool.submit([Trial(preset_cell("model1"), 0, SHORT)])
        assert pool.wait(60)
    assert own.train.images[0].unique().tolist() == [77]


def test_a_trial_that_fails_is_a_row(tmp_path: Path) -> None:
    run = prepare_run([Trial(preset_cell("model1"), 0, SHORT)], "presets", Path("unused"), tmp_path)
    too_large = Protocol("digits", epochs=1, batch_size=1000)
    [trained] = train_stack([Trial(preset_cell("model1"), 0, too_large)], run.data)
    record(run, replace(trained, trial=run.trials[0]))
    row = run.store.trials().iloc[0]
    assert row["status"] == "failed"
    assert row["error"].startswith("UsageError: --batch-size 1000 is larger than")
    assert pd.isna(row["test_accuracy"])


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("[Errno 2] No such file: '/home/someone/data/x.csv'", "[Errno 2] No such file: 'x.csv'"),
        ("in C:\\Users\\someone\\x.py\nline 3", "in x.py line 3"),
        ("1/2 of a/b and 3 / 4", "1/2 of a/b and 3 / 4"),
    ],
)
def test_the_reason_of_a_failure_holds_no_path(few_digits: Data, message: str, kept: str) -> None:
    def fail(_trial: Trial, _epoch: Epoch) -> None:
        raise OSError(message)

    [trained] = train_stack([Trial(preset_cell("model3"), 0, SHORT)], few_digits, fail)
    assert trained.error == f"OSError: {kept}"


def test_a_trial_that_diverges_is_a_row_without_accuracies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--models", "model1", "--design", "presets", "--seeds", "1", "--epochs", "9"]
    command += ["--lr", "1e6", "--dataset", "digits", "--workers", "0", "--no-timing"]
    command += ["--results", str(tmp_path)]
    assert run_command_line(command) == 0
    assert "1 trials diverged and 0 failed; they count in no mean." in capsys.readouterr().out
    row = Store(tmp_path / "digits").trials().iloc[0]
    assert row["status"] == "diverged"
    assert row[["test_accuracy", "train_accuracy", "best_test_accuracy"]].isna().all()


def a_trained_trial(seconds: float) -> Trained:
    epoch = Epoch(1, 0.5, 1.0, 0.9876, 0.1, 0.01, seconds)
    outcome = Outcome("done", (epoch,), (True,), seconds)
    return Trained(Trial(preset_cell("model1"), 0, SHORT), outcome, None, "", None)


def test_the_eta_follows_what_trials_really_take() -> None:
    cell = preset_cell("model1")
    planned = list(trials([cell], 10, SHORT))
    progress = Progress(planned, {cell: 100.0}, workers=2)
    assert progress.remaining_seconds() == pytest.approx(500, abs=1)
    progress.finished(a_trained_trial(200.0))
    assert progress.remaining_seconds() == pytest.approx((200 + 9 * 200) / 2, abs=1)


def test_a_file_gets_a_line_every_ten_seconds_and_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("bench.run.progress.time.monotonic", lambda: now[0])
    cell = preset_cell("model1")
    progress = Progress(list(trials([cell], 10, SHORT)), {cell: 100.0}, workers=2)
    for _ in range(10):
        now[0] += 4
        progress.finished(a_trained_trial(200.0))
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.startswith("0/10 starting workers; ETA ")
    assert [line.partition("/")[0] for line in lines] == ["3", "6", "9", "10"]
    assert all("; best so far model1, 98.76%; ETA " in line for line in lines)


def test_a_finished_trial_in_words() -> None:
    assert describe(a_trained_trial(12.34)) == "model1 seed 0: 98.76% test, 12.3 s"
    failed = Trained(Trial(preset_cell("model1"), 0, SHORT), None, "MemoryError: none left", "", None)
    assert describe(failed) == "model1 seed 0: failed, MemoryError: none left"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (250, "4 min 10 s"), (7500, "2 h 05 min")])
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
