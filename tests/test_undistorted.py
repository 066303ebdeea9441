"""What the last epoch's network reaches on the training images as they are: measured beside the training, recorded."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from bench.cli import run_command_line
from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Levels
from bench.plan.protocol import Precision, Protocol
from bench.plan.trials import Trial
from bench.record.schema import TrialRow
from bench.record.store import Store, StoreError
from bench.train.data import Data
from bench.train.fit import begin, fit, measured_on_training
from bench.train.general import GeneralTraining
from bench.train.loop import train
from bench.train.outcome import Outcome
from bench.train.recipe import Recipe
from bench.train.single import Training
from bench.train.stack import StackTraining
from tests.test_record import ROW

CPU = torch.device("cpu")
NEW = ["train_accuracy_undistorted", "train_loss_undistorted"]

Begin = Callable[[Trial, Data], Training | GeneralTraining | StackTraining]
WAYS: dict[str, Begin] = {
    "single": Training,
    "general": lambda trial, data: GeneralTraining(trial, data, Recipe(), CPU),
    "stack": lambda trial, data: StackTraining([trial], data, CPU),
}


def distorted_trial(precision: Precision = "fp32", seed: int = 0) -> Trial:
    """With dropout and distortions, in which training and evaluation differ."""
    levels = {**preset_cell("model2").levels, "augmentation": "advanced", "dropout": 0.1}
    return Trial(Cell("model2", Levels(levels)), seed, Protocol("digits", epochs=2, precision=precision))


def without_times(outcome: Outcome) -> Outcome:
    return replace(outcome, curve=tuple(replace(e, seconds=0.0) for e in outcome.curve), train_seconds=0.0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("way", WAYS)
def test_it_is_measured_like_the_test_images_and_changes_nothing_of_the_training(
    way: str, precision: Precision, few_digits: Data
) -> None:
    trial = distorted_trial(precision)
    training = WAYS[way](trial, few_digits)
    [plain] = train(training, few_digits)
    [measured] = measured_on_training(training, [plain])
    assert replace(measured, undistorted_accuracy=None, undistorted_loss=None) == plain
    # The same trial, with the training images as its test set from the beginning, predicts them after its last epoch.
    turned = replace(few_digits, held_out=few_digits.train)
    [expected] = train(WAYS[way](trial, turned), turned)
    assert measured.undistorted_accuracy == expected.curve[-1].held_out_accuracy
    assert measured.undistorted_loss == expected.curve[-1].held_out_loss
    assert measured.undistorted_loss != plain.curve[-1].train_loss


def test_fit_measures_every_trial_and_ends_where_the_training_does(few_digits: Data) -> None:
    trials = [Trial(preset_cell("model1"), seed, Protocol("digits", epochs=2, lr=1e-3)) for seed in range(3)]
    alone = [fit([trial], few_digits)[0] for trial in trials]
    for trial, outcome in zip(trials, alone, strict=True):
        [plain] = train(begin([trial], few_digits), few_digits)
        assert without_times(
            replace(outcome, undistorted_accuracy=None, undistorted_loss=None, train_images=None)
        ) == without_times(plain)
    for outcome, expected in zip(fit(trials, few_digits), alone, strict=True):
        assert outcome.undistorted_loss == pytest.approx(expected.undistorted_loss, abs=1e-4)
    assert len({outcome.undistorted_loss for outcome in alone}) == 3


def test_a_trial_that_diverged_has_none_and_the_others_of_its_stack_have(few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=2, lr=1e-3)
    calm, wild = (Trial(preset_cell("model1"), 0, replace(protocol, lr=lr)) for lr in (1e-3, 1e9))
    [first, diverged] = fit([calm, wild], few_digits)
    assert first.undistorted_accuracy is not None
    assert (diverged.status, diverged.undistorted_accuracy, diverged.undistorted_loss) == ("diverged", None, None)
    [alone] = fit([wild], few_digits)
    assert (alone.status, alone.undistorted_accuracy) == ("diverged", None)


def test_a_loss_that_is_not_finite_is_no_figure(few_digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(distorted_trial(), few_digits)
    outcomes = train(training, few_digits)
    nothing = [(few_digits.train.labels, math.inf)]
    monkeypatch.setattr(training, "evaluate", lambda: nothing)
    assert measured_on_training(training, outcomes) == outcomes


def test_the_pixels_of_a_data_set_are_counted_once_for_all_its_trials(
    few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = replace(few_digits)
    fit([distorted_trial()], data)
    counted: list[Tensor] = []
    monkeypatch.setattr(np, "bincount", counted.append)
    fit([distorted_trial(seed=1)], data)
    assert not counted


def test_it_stands_in_the_row_and_in_the_printed_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "run --models model3 --design presets --seeds 1 --epochs 1 --dataset digits --workers 0 --no-report"
    assert run_command_line([*command.split(), "--no-timing", "--results", str(tmp_path)]) == 0
    row = Store(tmp_path / "digits").trials().iloc[0]
    assert 0 <= row["train_accuracy_undistorted"] <= 1
    assert row["train_loss_undistorted"] > 0
    capsys.readouterr()
    assert run_command_line(["rows", "--results", str(tmp_path)]) == 0
    assert set(NEW) <= set(capsys.readouterr().out.splitlines()[0].split(","))


def test_files_without_the_columns_are_read_and_get_them_with_the_next_row(tmp_path: Path) -> None:
    """As the first rows of schema 2 were written."""
    store = Store(tmp_path)
    store.add_trial(ROW)
    rows = pd.read_csv(store.trials_path, dtype=str, keep_default_na=False)
    rows[rows.columns[: rows.columns.get_loc(NEW[0])]].to_csv(store.trials_path, index=False, lineterminator="\n")
    before = Store(tmp_path).trials()
    assert before[NEW].isna().all(axis=None)
    assert (before[NEW].dtypes == "float64").all()
    store.add_trial(replace(ROW, trial="b", train_accuracy_undistorted=0.75, train_loss_undistorted=0.5))
    after = Store(tmp_path).trials()
    assert after[NEW].iloc[1].tolist() == [0.75, 0.5]
    assert after[NEW].iloc[0].isna().all()
    assert after["test_accuracy"].tolist() == [ROW.test_accuracy] * 2


@pytest.mark.parametrize(("name", "value"), [(NEW[0], 1.5), (NEW[1], -0.1), (NEW[1], math.inf)])
def test_what_cannot_be_measured_is_not_read(name: str, value: float, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(TrialRow(**{field.name: getattr(ROW, field.name) for field in fields(ROW)} | {name: value}))
    with pytest.raises(StoreError, match=f"line 2: {name} is"):
        Store(tmp_path).trials()
