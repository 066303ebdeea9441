"""What a trial trains with, as the digests that its key is made of."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache

from bench.plan.augmentation import AT_LEVEL, Augmentation, augmentation_of
from bench.plan.keys import Parts, keys_by_seed, training_digest
from bench.plan.protocol import Device
from bench.plan.trials import Trial
from bench.train.augment import augment, distorted, undistorted
from bench.train.called import called
from bench.train.code import digest_of
from bench.train.contract import changed_batch, loss_of, made_optimizer, made_scheduler
from bench.train.data import Data
from bench.train.evaluation import evaluate
from bench.train.fast.activation import Activation
from bench.train.fast.fuse import fuse
from bench.train.fast.stacked import StackedActivation, StackedLinear, StackedNetwork
from bench.train.few import few_of_each
from bench.train.general import GeneralTraining
from bench.train.loop import train
from bench.train.network import check_logits, plain_network
from bench.train.network_identity import network_part
from bench.train.optim import OptimizerKind, ScheduleKind, optimizer_of, schedule_of
from bench.train.outcome import Epoch, Outcome
from bench.train.recipe import Recipe, recipe_of
from bench.train.single import Training
from bench.train.stack import StackTraining
from bench.train.start import First, StartedTraining, first_of, learn, put, start_from
from bench.train.taught import TaughtTraining, teachers_of
from bench.train.values import digest_of_values

# What a loop calls that is a part of its own, is a matter of speed, or only records. `fuse` and the layers that it puts
# in are held to torch's own by the tests, so that a faster kernel leaves every row valid.
_APART = (AT_LEVEL, augment, evaluate, optimizer_of, schedule_of, plain_network, fuse, Activation, Epoch, Outcome)
_STACKED = (StackedActivation, StackedLinear, StackedNetwork)

# What hands on what a user's callables give, or says what is wrong with it.
_ASKS = (called, changed_batch, check_logits, loss_of, made_optimizer, made_scheduler)


def training_parts(trial: Trial, *, stacks: bool = True, data: Data | None = None) -> Mapping[str, str]:
    """The digests of the code that this trial trains with, by what it is for: loop, evaluation, optimizer,
    schedule, augmentation, and each part of a recipe that is the trial's own. Where no recipe is, the loss stands in
    the loop. `stacks` says whether the network can be stacked, as a GPU would; `data` are the trial's, of which a phase
    before its training says what it trains on. Raises UsageError for an optimiser or a schedule that there isn't, and
    for a recipe or a phase that can't be."""
    recipe = recipe_of(trial)
    alone = not recipe.trains_as_usual or (trial.protocol.device == "cuda" and not stacks)
    return {**_shared_parts(trial, recipe, alone=alone), **_own_parts(recipe), **_before(trial, recipe, data)}


def phase_key(first: First) -> str:
    """16 hexadecimal digits of all that decides what a phase leaves, as the key of a trial is of its outcome."""
    trial, data = first.trial, first.data
    network = network_part(trial.cell, data.input_shape, data.classes)
    parts = Parts(network, training_digest(_phase_parts(first)), data.digest)
    return keys_by_seed(parts, trial.lr, trial.protocol, augmentation_of(trial.cell.levels))(trial.seed)


def _phase_parts(first: First) -> dict[str, str]:
    shared = _shared_parts(first.trial, first.recipe, alone=True)
    return {**shared, **_own_parts(first.recipe), "phase": _phase_code()}


def _before(trial: Trial, recipe: Recipe, data: Data | None) -> dict[str, str]:
    """The digests of what comes before the first step: which images are drawn, the phase that a trial begins with,
    whatever its seed, and its teachers."""
    parts = {}
    if recipe.images_per_class is not None:
        parts["images_per_class"] = _short(f"{_code(few_of_each)} {recipe.images_per_class}")
    if recipe.start is not None:
        if data is None:
            raise ValueError("what a phase is depends on the data")
        first = first_of(trial, data, recipe, recipe.start)
        said = {
            **_said_of(first),
            "data": "own" if recipe.start.own_images else first.data.digest,
            "images": len(data.others[recipe.start.data].train),
            "epochs": recipe.start.epochs,
            "frozen": recipe.start.frozen,
        }
        parts["start"] = _short(f"{_start_code()} {sorted(said.items())}")
    if recipe.teacher is not None:
        if data is None:
            raise ValueError("what teachers are depends on the data")
        firsts = teachers_of(trial, data, recipe.teacher)
        said = {**_said_of(firsts[0]), "seeds": [one.trial.seed for one in firsts]}
        parts["teacher"] = _short(f"{_teacher_code()} {sorted(said.items())}")
    return parts


def _said_of(first: First) -> dict[str, object]:
    """What is learned first, whatever its seed and its images."""
    return {
        "network": network_part(first.trial.cell, first.data.input_shape, first.data.classes),
        "training": training_digest(_phase_parts(first)),
        "lr": first.trial.lr,
    }


def _shared_parts(trial: Trial, recipe: Recipe, *, alone: bool) -> dict[str, str]:
    """The parts that every training has; `alone` says whether it trains in the general way."""
    distorts = augmentation_of(trial.cell.levels) != Augmentation()
    return {
        "loop": _general_loop() if alone else _loop(trial.protocol.device),
        "evaluation": _code(evaluate),
        "optimizer": _optimizer(optimizer_of(trial)),
        "schedule": _schedule(schedule_of(trial)),
        "augmentation": _code(distorted if distorts else undistorted),
        **({"loss": digest_of_values(recipe.loss)} if alone else {}),
    }


# What `_before` speaks for.
_SAID_APART = ("start", "teacher", "images_per_class")


def _own_parts(recipe: Recipe) -> dict[str, str]:
    """The digests of the parts of a recipe that aren't as usual; what they hold counts as well."""
    usual = Recipe()
    own = {
        field.name: getattr(recipe, field.name)
        for field in fields(recipe)
        if field.compare and field.name not in _SAID_APART and getattr(recipe, field.name) != getattr(usual, field.name)
    }
    every = own.pop("every", usual.every)
    parts = {name: digest_of_values(part) for name, part in own.items()}
    if "schedule" in parts and every != usual.every:
        parts["schedule"] = _short(f"{parts['schedule']} every {every}")
    return parts


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _loop(device: Device) -> str:
    if device == "cuda":
        return digest_of(StackTraining, train, Data.pixel_mean_std, Data.hold_out, apart=_APART)
    return digest_of(Training, train, Data.pixel_mean_std, Data.hold_out, apart=(*_APART, *_STACKED))


@cache
def _general_loop() -> str:
    apart = (*_APART, *_STACKED, *_ASKS)
    return digest_of(GeneralTraining, train, Data.pixel_mean_std, Data.hold_out, apart=apart)


@cache
def _phase_code() -> str:
    return digest_of(learn, apart=(GeneralTraining, *_APART, *_STACKED, *_ASKS))


@cache
def _start_code() -> str:
    apart = (GeneralTraining, learn, *_APART, *_STACKED, *_ASKS)
    return digest_of(StartedTraining, first_of, start_from, apart=apart)


@cache
def _teacher_code() -> str:
    return digest_of(TaughtTraining, apart=(GeneralTraining, put, *_APART, *_STACKED, *_ASKS))


@cache
def _optimizer(kind: OptimizerKind) -> str:
    return digest_of(kind.update, kind.stand_in)


@cache
def _schedule(kind: ScheduleKind) -> str:
    return _short(f"{digest_of(kind.scheduler)} {kind.by_batch}")


@cache
def _code(function: object) -> str:
    return digest_of(function)
