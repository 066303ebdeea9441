"""What a trial trains with, as the digests that its key is made of."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache

from bench.plan.augmentation import AT_LEVEL, Augmentation, augmentation_of
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
from bench.train.general import GeneralTraining
from bench.train.loop import train
from bench.train.network import check_logits, plain_network
from bench.train.optim import OptimizerKind, ScheduleKind, optimizer_of, schedule_of
from bench.train.outcome import Epoch, Outcome
from bench.train.recipe import Recipe, recipe_of
from bench.train.single import Training
from bench.train.stack import StackTraining
from bench.train.values import digest_of_values

# What a loop calls that is a part of its own, is a matter of speed, or only records. `fuse` and the layers that it puts
# in are held to torch's own by the tests, so that a faster kernel leaves every row valid.
_APART = (AT_LEVEL, augment, evaluate, optimizer_of, schedule_of, plain_network, fuse, Activation, Epoch, Outcome)
_STACKED = (StackedActivation, StackedLinear, StackedNetwork)

# What hands on what a user's callables give, or says what is wrong with it.
_ASKS = (called, changed_batch, check_logits, loss_of, made_optimizer, made_scheduler)


def training_parts(trial: Trial, *, stacks: bool = True) -> Mapping[str, str]:
    """The digests of the code that this trial trains with, by what it is for: loop, evaluation, optimizer,
    schedule, augmentation, and each part of a recipe that is the trial's own. Where no recipe is, the loss stands in
    the loop. `stacks` says whether the network can be stacked, as a GPU would. Raises UsageError for an optimiser or a
    schedule that there isn't, and for a recipe that can't be made."""
    distorts = augmentation_of(trial.cell.levels) != Augmentation()
    recipe = recipe_of(trial)
    alone = not recipe.is_default or (trial.protocol.device == "cuda" and not stacks)
    return {
        "loop": _general_loop() if alone else _loop(trial.protocol.device),
        "evaluation": _code(evaluate),
        "optimizer": _optimizer(optimizer_of(trial)),
        "schedule": _schedule(schedule_of(trial)),
        "augmentation": _code(distorted if distorts else undistorted),
        **({"loss": digest_of_values(recipe.loss)} if alone else {}),
        **_own_parts(recipe),
    }


def _own_parts(recipe: Recipe) -> dict[str, str]:
    """The digests of the parts of a recipe that aren't as usual; what they hold counts as well."""
    usual = Recipe()
    own = {
        field.name: getattr(recipe, field.name)
        for field in fields(recipe)
        if field.compare and getattr(recipe, field.name) != getattr(usual, field.name)
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
def _optimizer(kind: OptimizerKind) -> str:
    return digest_of(kind.update, kind.stand_in)


@cache
def _schedule(kind: ScheduleKind) -> str:
    return _short(f"{digest_of(kind.scheduler)} {kind.by_batch}")


@cache
def _code(function: object) -> str:
    return digest_of(function)
