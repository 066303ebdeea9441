"""Teachers: what they are, what targets they give, how trials share them, and what keys and rows say of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.errors import UsageError
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.run.phases import phases_to_learn
from bench.run.runner import phase_seconds, prepare_run, train_missing
from bench.run.serial import Serial
from bench.study import Factor, Phase, Recipe, Study, Teacher, from_arrays
from bench.train.data import Data
from bench.train.fit import begin, fit
from bench.train.general import GeneralTraining
from bench.train.identity import phase_key, training_parts
from bench.train.recipe import recipe_of
from bench.train.start import StartError
from bench.train.taught import FIRST_SEED, TaughtTraining, learn_to_teach, teachers_of

TEACHERS: dict[str, Any] = {
    "two": Teacher({"dropout": 0.0}, networks=2),
    "without": Teacher({"batch_norm": "off"}),
}

TAUGHT = Factor("taught", ("off", *TEACHERS), change=lambda recipe, level: recipe.with_teacher(TEACHERS[level]))
FEW = Factor("few", ("all", 10), change=lambda recipe, level: recipe.with_images(per_class=level), changes_step=False)


@pytest.fixture(autouse=True)
def _factors() -> Iterator[None]:
    with ExitStack() as stack:
        known = catalogue()
        stack.enter_context(using(replace(known, factors=(*known.factors, TAUGHT, FEW))))
        yield


def trial(seed: int = 0, epochs: int = 1, **levels: Level) -> Trial:
    preset = preset_cell("model2")
    return Trial(Cell("model2", Levels({**preset.levels, **levels})), seed, Protocol("digits", epochs=epochs))


def teacher_of(one: Trial) -> Teacher:
    teacher = recipe_of(one).teacher
    assert teacher is not None
    return teacher


def test_teachers_are_ordinary_trials_of_the_students_cell_but_for_their_levels(few_digits: Data) -> None:
    student = trial(taught="without", few=10)
    [first] = teachers_of(student, few_digits, teacher_of(student))
    assert first.trial.cell == trial(batch_norm=False, few=10).cell
    assert first.trial.seed == FIRST_SEED
    learned = learn_to_teach(first)
    alone = GeneralTraining(first.trial, few_digits, Recipe(), torch.device("cpu"))
    alone.epoch()
    assert all(torch.equal(value, learned.weights[name]) for name, value in alone.network.state_dict().items())


def test_targets_are_the_mean_of_what_teachers_say_of_the_very_images(few_digits: Data) -> None:
    student = trial(taught="two", augmentation="advanced")
    firsts = teachers_of(student, few_digits, teacher_of(student))
    assert [first.trial.seed for first in firsts] == [FIRST_SEED, FIRST_SEED + 1]
    training = begin([student], few_digits, taught=[learn_to_teach(first) for first in firsts])
    assert isinstance(training, TaughtTraining)
    networks = []
    for first in firsts:
        alone = GeneralTraining(first.trial, few_digits, Recipe(), torch.device("cpu"))
        alone.epoch()
        networks.append(alone.network.eval())
    images, targets, labels = training._batch(torch.arange(64))
    with torch.no_grad():
        said = torch.stack([network(training.prepare(images)).softmax(1) for network in networks]).mean(0)
    torch.testing.assert_close(targets, said)
    assert torch.equal(labels, few_digits.train.labels[:64])
    assert not torch.allclose(images, few_digits.train.images[:64] / 255)


def test_a_student_begins_and_sees_images_as_the_trial_without_teachers_does(few_digits: Data) -> None:
    def alone() -> GeneralTraining:
        return GeneralTraining(trial(), few_digits, Recipe(), torch.device("cpu"))

    def student() -> TaughtTraining:
        training = begin([trial(taught="two")], few_digits)
        assert isinstance(training, TaughtTraining)
        return training

    weights = alone().network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in student().network.state_dict().items())
    images, targets, _ = student()._batch(torch.arange(8))
    assert torch.equal(images, alone()._batch(torch.arange(8))[0])
    loss, _ = student().step(torch.arange(8))
    usual = alone()
    logits = usual.network.train()(usual.prepare(images))
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets).detach())


def test_who_trains_first_learns_and_the_order_of_teachers_stays(few_digits: Data) -> None:
    asked: list[str] = []

    def keep(key: str, learn: Any) -> Any:
        asked.append(key)
        return learn()

    kept = replace(few_digits, keep=keep)
    outcomes = [fit([trial(seed, taught="two")], kept)[0] for seed in (0, 1)]
    keys = [phase_key(first) for first in teachers_of(trial(), few_digits, TEACHERS["two"])]
    assert asked == [*keys, *reversed(keys)]
    for seed, outcome in enumerate(outcomes):
        assert outcome.teacher_seconds is not None
        assert outcome.teacher_seconds > 0
        learned = [learn_to_teach(first) for first in teachers_of(trial(), few_digits, TEACHERS["two"])]
        training = begin([trial(seed, taught="two")], few_digits, taught=learned)
        [(_, loss)] = training.epoch()
        assert outcome.curve[0].train_loss == loss / len(few_digits.train)
    [usual] = fit([trial()], few_digits)
    assert usual.teacher_seconds is None


def test_a_key_says_who_taught(few_digits: Data) -> None:
    usual = training_parts(trial())
    taught = training_parts(trial(taught="two"), data=few_digits)
    assert set(taught) - set(usual) == {"teacher", "loss"}
    assert taught["teacher"] == training_parts(trial(1, taught="two"), data=few_digits)["teacher"]
    assert taught["teacher"] != training_parts(trial(taught="without"), data=few_digits)["teacher"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Teacher(["width"]), r"Teacher: levels is a dictionary, as in \{'width': 4\}"),  # type: ignore[arg-type]
        (lambda: Teacher({}, networks=0), "Teacher: networks"),
        (lambda: Recipe().with_teacher("wide"), r"with_teacher takes a teacher, as Teacher\(\{'width': 4\}\)"),  # type: ignore[arg-type]
        (
            lambda: _first(Teacher({"dropuot": 0.1})),
            "is no 'dropuot': did you mean dropout?",
        ),
        (lambda: _first(Teacher({"batch_norm": "perhaps"})), "batch_norm is no 'perhaps': there are off, on"),
        (lambda: _first(Teacher({"taught": "two"})), "a teacher learns as an ordinary trial does, and model2"),
    ],
)
def test_what_cant_be_is_said(make: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


def _first(teacher: Teacher) -> object:
    return teachers_of(trial(), None, teacher)  # type: ignore[arg-type]  # it is refused before it is looked at


def test_a_phase_and_a_teacher_are_one_too_many(few_digits: Data) -> None:
    before = Factor("before", ("off", "on"), change=lambda recipe, _: recipe.with_start(Phase("other", epochs=1)))
    known = catalogue()
    with (
        using(replace(known, factors=(*known.factors, before))),
        pytest.raises(UsageError, match="begins with a phase"),
    ):
        begin([trial(taught="two", before="on")], few_digits)


def test_a_teacher_that_diverges_is_said(few_digits: Data) -> None:
    student = replace(trial(taught="two"), protocol=Protocol("digits", epochs=1, lr=1e30))
    with pytest.raises(StartError, match=r"a teacher, model2 dropout=0.0, diverges at a rate of 1e\+30"):
        learn_to_teach(teachers_of(student, few_digits, teacher_of(student))[0])


def narrow(shape: tuple[int, int, int], classes: int, *, width: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)
    )


def test_a_study_trains_with_teachers_learned_once_and_rows_say_how_long(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (90, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(90) % 3
    study = Study(
        architectures=[narrow],
        factors=[
            Factor("width", levels=(2, 4), off=2),
            Factor(
                "distillation",
                levels=("off", "on"),
                change=lambda recipe, _: recipe.with_teacher(Teacher({"width": 4}, networks=2)),
            ),
        ],
        data=from_arrays("here", train=(images[:60], labels[:60]), test=(images[60:], labels[60:]), classes=3),
        rates=0.01,
    )
    with using(study.catalogue("own")):
        preset = preset_cell("narrow")
        taught = Cell("narrow", Levels({**preset.levels, "distillation": "on"}))
        protocol = Protocol("here", epochs=1, batch_size=16)
        trials = [Trial(cell, seed, protocol) for seed in range(2) for cell in (preset, taught)]
        run = prepare_run(trials, "toggles", tmp_path, tmp_path)
        assert {first.trial.cell.levels["width"] for first in phases_to_learn(trials, run.data).values()} == {4}
        assert len(phases_to_learn(trials, run.data)) == 2
        assert phase_seconds(trials, run.data, dict.fromkeys((preset, taught), 1.0)) > 0
        train_missing(run, run.missing(), lambda data, _stacks: Serial(data))
        assert not prepare_run(trials, "toggles", tmp_path, tmp_path).missing()
        assert not phases_to_learn(trials, run.data)
        rows = run.rows()
    on, off = rows[rows["distillation"] == "on"], rows[rows["distillation"] == "off"]
    assert (on["teacher_seconds"] > 0).all()
    assert off["teacher_seconds"].isna().all()
    assert rows["phase"].isna().all()
    assert len(list((tmp_path / "here" / "phases").glob("*.safetensors"))) == 2
