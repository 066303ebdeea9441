"""What names a trial: a digest of what it used, part by part, and of nothing that it didn't use.

What the code is, three digests say: `network` what is computed and how it starts, `training` the code of the loop and
of the choices that this trial made, `data` the images and labels. They are columns of the row, so that it can be said
which one moved. What was chosen enters as values. A value that joins later must not change the keys of trials that
don't use it, so it has a neutral value, which stands for its absence, for ever: a default that changes on the command
line doesn't change it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import MappingProxyType
from typing import Any

from bench.plan.augmentation import Augmentation, augmentation_of
from bench.plan.catalogue import catalogue
from bench.plan.factors import level_of
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Mark(Enum):
    """What is said of a field instead of a neutral value."""

    ALWAYS = "its value is part of every key"
    NOT_IDENTITY = "another part of the key says what it does, or it does nothing to the outcome"


# Every field of a dataclass whose values enter a key: whether it is identity, and its neutral value where it may be
# absent. A test fails when a field joins a dataclass and isn't here.
IDENTITY: Mapping[type[Any], Mapping[str, object]] = {
    Protocol: {
        "dataset": Mark.NOT_IDENTITY,  # the name; `data` says what it holds
        "epochs": Mark.ALWAYS,
        "batch_size": Mark.ALWAYS,
        "optimizer": Mark.NOT_IDENTITY,  # `training` says what it does
        "lr": Mark.NOT_IDENTITY,  # the trial's own rate counts, not whether it was given or selected
        "precision": Mark.ALWAYS,
        "device": Mark.ALWAYS,
        "val": 0,
        "readouts": Mark.NOT_IDENTITY,  # they read what the training left
    },
    Augmentation: {"rotation": 0.0, "shift": 0.0, "scale": 0.0},
}


# What an augmentation does stands in the key as numbers, what a schedule does in `training`.
_SPOKEN_FOR = ("augmentation", "scheduler")


@dataclass(frozen=True, slots=True)
class Parts:
    """The digests that a trial's key is made of, 16 hexadecimal digits each."""

    network: str
    training: str
    data: str


def trial_key(trial: Trial, parts: Parts) -> str:
    """16 hexadecimal digits that change with everything that can change the outcome, and with nothing else."""
    return trial_keys(trial, parts)(trial.seed)


def trial_keys(trial: Trial, parts: Parts) -> Callable[[int], str]:
    """By seed, the keys of trials that differ from this one in their seed alone."""
    levels = trial.cell.levels
    augmentation = augmentation_of(levels)
    return keys_by_seed(parts, trial.lr, trial.protocol, augmentation, _training_levels(levels))


def keys_by_seed(
    parts: Parts,
    lr: float,
    protocol: Protocol,
    augmentation: Augmentation,
    levels: Mapping[str, Level] = MappingProxyType({}),
) -> Callable[[int], str]:
    """As `trial_keys`, from what it reads off a trial; `levels` are those of factors that nothing else speaks for."""
    shared = {
        "network": parts.network,
        "training": parts.training,
        "data": parts.data,
        "lr": lr,
        **identity(protocol),
        **identity(augmentation),
        **({"levels": dict(levels)} if levels else {}),
    }

    def key(seed: int) -> str:
        return hashlib.sha256(_JSON.encode(shared | {"seed": seed}).encode()).hexdigest()[:16]

    return key


def _training_levels(levels: Levels) -> dict[str, Level]:
    """The levels of training factors that are used and that no other part of the key speaks for: `network` does for the
    factors of the network."""
    return {
        factor.name: level_of(levels, factor)
        for factor in catalogue().factors
        if not factor.changes_network
        and (factor.name not in _SPOKEN_FOR or factor.change is not None)
        and level_of(levels, factor) != factor.off
    }


def training_digest(parts: Mapping[str, str]) -> str:
    """16 hexadecimal digits of what a trial trains with: digests of code, by what it is for."""
    text = " ".join(f"{name}={digest}" for name, digest in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identity(values: Any) -> dict[str, object]:
    """The fields of a dataclass in IDENTITY that count for a key, but for those at their neutral value."""
    said = IDENTITY[type(values)]
    found = {field.name: getattr(values, field.name) for field in fields(values)}
    return {
        name: value
        for name, value in found.items()
        if said[name] is not Mark.NOT_IDENTITY and (said[name] is Mark.ALWAYS or value != said[name])
    }
