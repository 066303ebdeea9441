"""The techniques that can be switched, and their levels.

A new factor is an entry here, a field of `architectures.spec.Levels`, and the code that obeys it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from architectures.spec import Levels
from bench.errors import UsageError, near_matches

Level = bool | float | str


@dataclass(frozen=True, slots=True)
class Factor:
    """A technique. `off` is its absence; `on` is the level that a flip from `off` leads to.

    `words` says each level in a sentence, in the order of `levels`.
    """

    name: str
    levels: tuple[Level, ...]
    words: tuple[str, ...]
    off: Level
    on: Level
    summary: str
    changes_network: bool

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
    ),
    Factor(
        name="gap",
        levels=(False, True),
        words=("a linear layer", "global average pooling"),
        off=False,
        on=True,
        summary="global average pooling instead of a linear layer at the end",
        changes_network=True,
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


def level_of(levels: Levels, factor: Factor) -> Level:
    """The level that `levels` gives `factor`."""
    level: Level = getattr(levels, factor.name)
    return level


def written_levels(levels: Levels) -> dict[str, str | float]:
    """What the rows' columns hold: on and off for a switch, the level itself otherwise."""
    return {factor.name: _written(level_of(levels, factor)) for factor in FACTORS}


def read_levels(written: Mapping[str, object]) -> Levels:
    """The inverse of `written_levels`. Raises ValueError for what is no level of its factor."""
    values: dict[str, Level] = {}
    for factor in FACTORS:
        matching = [level for level in factor.levels if _written(level) == written[factor.name]]
        if not matching:
            raise ValueError(f"{factor.name} has no level {written[factor.name]!r}")
        values[factor.name] = matching[0]
    return Levels(**values)  # type: ignore[arg-type]  # each level is one of its factor's


def _written(level: Level) -> str | float:
    return format_level(level) if isinstance(level, bool) else level


def format_level(level: Level) -> str:
    """As rows and people write it: off, on, 0.1, basic."""
    if isinstance(level, bool):
        return "on" if level else "off"
    return str(level)
