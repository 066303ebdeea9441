"""What a trial uses of networks and code, as the digests that its key is made of."""

import hashlib
from collections.abc import Mapping
from functools import cache

from bench.plan.augmentation import AUGMENTATIONS, Augmentation
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell
from bench.plan.protocol import Device
from bench.plan.trials import Trial
from bench.train.augment import augment, distorted, undistorted
from bench.train.code import digest_of
from bench.train.data import Data
from bench.train.evaluation import evaluate
from bench.train.fast.activation import Activation
from bench.train.fast.fuse import fuse
from bench.train.fast.stacked import StackedActivation, StackedLinear, StackedNetwork
from bench.train.loop import train
from bench.train.network import NetworkError, check_logits, plain_network, said, shape_text
from bench.train.optim import OptimizerKind, ScheduleKind, optimizer_of, schedule_of
from bench.train.outcome import Epoch, Outcome
from bench.train.single import Training
from bench.train.stack import StackTraining
from bench.train.trace import network_digest

# What a loop calls that is a part of its own, is a matter of speed, or only records. `fuse` and the layers that it puts
# in are held to torch's own by the tests, so that a faster kernel leaves every row valid.
_APART = (AUGMENTATIONS, augment, evaluate, optimizer_of, schedule_of, plain_network, fuse, Activation, Epoch, Outcome)
_STACKED = (StackedActivation, StackedLinear, StackedNetwork)

# To run a network takes some ten milliseconds, and a plan asks for each as often as it has trials.
_networks: dict[tuple[object, ...], str] = {}


def network_part(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> str:
    """The digest of what the cell's network computes and how it starts. Raises NetworkError
    where it can't be built or doesn't map them to logits."""
    kind = (catalogue(), cell.network, input_shape, classes)
    if kind not in _networks:
        _networks[kind] = _network(cell, input_shape, classes)
    return _networks[kind]


def training_parts(trial: Trial) -> Mapping[str, str]:
    """The digests of the code that this trial trains with, by what it is for: loop (the loss stands in it), evaluation,
    optimizer, schedule, augmentation. Raises UsageError for an optimiser or a schedule that there isn't."""
    distorts = AUGMENTATIONS[str(trial.cell.levels["augmentation"])] != Augmentation()
    return {
        "loop": _loop(trial.protocol.device),
        "evaluation": _code(evaluate),
        "optimizer": _optimizer(optimizer_of(trial)),
        "schedule": _schedule(schedule_of(trial)),
        "augmentation": _code(distorted if distorts else undistorted),
    }


def _network(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> str:
    def check(logits: object, images: int) -> None:
        check_logits(logits, images, classes, cell)

    try:
        return network_digest(lambda: plain_network(cell, input_shape, classes), input_shape, check)
    except NetworkError:
        raise
    except Exception as error:
        raise NetworkError(f"{cell.label} fails on images of {shape_text(input_shape)}: {said(error)}") from error


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _loop(device: Device) -> str:
    if device == "cuda":
        return digest_of(StackTraining, train, Data.pixel_mean_std, Data.hold_out, apart=_APART)
    return digest_of(Training, train, Data.pixel_mean_std, Data.hold_out, apart=(*_APART, *_STACKED))


@cache
def _optimizer(kind: OptimizerKind) -> str:
    return digest_of(kind.update, kind.stand_in)


@cache
def _schedule(kind: ScheduleKind) -> str:
    return _short(f"{digest_of(kind.scheduler)} {kind.by_batch}")


@cache
def _code(function: object) -> str:
    return digest_of(function)
