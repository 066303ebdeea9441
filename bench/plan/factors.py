"""The techniques that can be switched, and their levels.

A new factor is an entry here and the code that obeys it. Rows written before it existed read as its `off`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architectures.spec import Level, Levels
from bench.errors import UsageError, near_matches

__all__ = [
    "FACTORS",
    "Factor",
    "Level",
    "check_preset",
    "find_factors",
    "format_level",
    "level_of",
    "read_levels",
    "written_levels",
]


@dataclass(frozen=True, slots=True)
class Factor:
    """A technique. `off` is its absence; `on` is the level that a flip from `off` leads to.

    `words` says each level in a sentence, in the order of `levels`. `changes_network` says whether the level changes
    what the network computes, `changes_shapes` whether also the shapes of its weights, `changes_step` whether a
    training step costs another time. `change` takes a `bench.train.recipe.Recipe` and a level other than `off` and
    returns the recipe that it makes of it; None for a factor that changes none.
    """

    name: str
    levels: tuple[Level, ...]
    words: tuple[str, ...]
    off: Level
    on: Level
    summary: str
    changes_network: bool
    changes_shapes: bool = False
    changes_step: bool = True
    change: Callable[[Any, Level], Any] | None = None

    def flip(self, level: Level) -> Level:
        """Without the technique where it was used, with it where it wasn't."""
        return self.on if level == self.off else self.off

    def in_words(self, level: Level) -> str:
        """The level as a sentence calls it."""
        return self.words[self.levels.index(level)]

    def parse(self, text: str) -> Level:
        """The level written as `text`. Raises UsageError."""
        for level in self.levels:
            if format_level(level) == text:
                return level
        written = [format_level(level) for level in self.levels]
        raise UsageError(f"{self.name} has no level {text!r}: there are {', '.join(written)}")


FACTORS = (
    Factor(
        name="batch_norm",
        levels=(False, True),
        words=("no batch norm", "batch norm"),
        off=False,
        on=True,
        summary="batch norm after every hidden convolution",
        changes_network=True,
        changes_shapes=True,
    ),
    Factor(
        name="gap",
        levels=(False, True),
        words=("a linear layer", "global average pooling"),
        off=False,
        on=True,
        summary="global average pooling instead of a linear layer at the end",
        changes_network=True,
        changes_shapes=True,
    ),
    Factor(
        name="dropout",
        levels=(0.0, 0.1),
        words=("no dropout", "dropout 0.1"),
        off=0.0,
        on=0.1,
        summary="dropout rate after every hidden block",
        changes_network=True,
    ),
    Factor(
        name="augmentation",
        levels=("none", "basic", "advanced"),
        words=("no augmentation", "basic augmentation", "advanced augmentation"),
        off="none",
        on="basic",
        summary="how training images are distorted",
        changes_network=False,
    ),
    Factor(
        name="scheduler",
        levels=("step", "onecycle"),
        words=("the step schedule", "the one-cycle schedule"),
        off="step",
        on="onecycle",
        summary="how the learning rate moves",
        changes_network=False,
        changes_step=False,
    ),
)


def find_factors(names: Iterable[str]) -> tuple[Factor, ...]:
    """The factors called `names`, in the order of FACTORS. Raises UsageError."""
    wanted = set(names)
    known = [factor.name for factor in FACTORS]
    for name in wanted:
        if name not in known:
            raise UsageError(f"no factor is called {name!r}: {near_matches(name, known)}")
    return tuple(factor for factor in FACTORS if factor.name in wanted)


def check_preset(architecture: str, preset: Levels, factors: Sequence[Factor] = FACTORS) -> None:
    """Raises UsageError where an architecture's preset names a factor or a level that there isn't, or two factors share
    a name."""
    known = {factor.name: factor for factor in factors}
    if len(known) < len(factors):
        names = [factor.name for factor in factors]
        raise UsageError(f"two factors are called {next(name for name in names if names.count(name) > 1)!r}")
    for name, level in preset.items():
        if name not in known:
            raise UsageError(f"{architecture}: no factor is called {name!r}: {near_matches(name, known)}")
        if level not in known[name].levels:
            written = ", ".join(map(format_level, known[name].levels))
            raise UsageError(f"{architecture}: {name} has no level {format_level(level)!r}: there are {written}")


def level_of(levels: Levels, factor: Factor) -> Level:
    """The level that `levels` gives `factor`; its `off` where they don't name it."""
    return levels.get(factor.name, factor.off)


def written_levels(levels: Levels) -> dict[str, str | float]:
    """What the rows' columns hold: on and off for a switch, the level itself otherwise."""
    return {factor.name: _written(level_of(levels, factor)) for factor in FACTORS}


def read_levels(written: Mapping[str, object]) -> Levels:
    """The inverse of `written_levels`; a factor without a value, as in a row written before it existed, is off.

    Raises ValueError for what is no level of its factor.
    """
    return Levels({factor.name: _read(factor, written.get(factor.name)) for factor in FACTORS})


def _read(factor: Factor, value: object) -> Level:
    if value is None or value == "":
        return factor.off
    for level in factor.levels:
        if _written(level) == value or format_level(level) == value:
            return level
    raise ValueError(f"{factor.name} has no level {value!r}")


def _written(level: Level) -> str | float:
    return format_level(level) if isinstance(level, bool) else level


def format_level(level: Level) -> str:
    """As rows and people write it: off, on, 0.1, basic."""
    if isinstance(level, bool):
        return "on" if level else "off"
    return str(level)
