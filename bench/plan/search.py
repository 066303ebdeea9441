"""What a search looks through: networks of one architecture, at the levels that an Optuna trial suggests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UsageError
from bench.plan import arguments
from bench.plan.architecture import Architecture
from bench.plan.factors import Factor
from bench.plan.levels import Level


@dataclass(frozen=True, eq=False)
class Search:
    """A space of networks for `bench search`. `architecture` is a builder, an `Architecture(...)` around one, or the
    name of one of the study's. `suggest(trial, limit)` asks an Optuna trial, as in `trial.suggest_int("depth", 2, 5)`,
    and returns levels: of the builder's keywords, or of factors of the training, as in {"layers": "16C3-MP2-16C3"}.
    `limit` is the most parameters that a network may have, None where there is no limit.
    A keyword with a text for its default that is no factor of the study may be any text, so that a builder can read
    whole networks; of all others the levels are those of their factors. What isn't suggested is as in the preset.

    `parameters` is the limit, unless `bench search --parameters` says another; a suggestion with more, or one that
    can't be built, is never trained. An architecture that is only searched is no part of the study's
    designs. Raises UsageError for what can't be.
    """

    architecture: Callable[..., Any] | Architecture | str
    suggest: Callable[[Any, int | None], Mapping[str, Level]]
    parameters: int | None = None

    def __post_init__(self) -> None:
        if not (callable(self.architecture) or isinstance(self.architecture, Architecture | str)):
            raise UsageError(
                f"Search: an architecture is a function (shape, classes, ...) or a name, not {self.architecture!r}"
            )
        if not callable(self.suggest):
            raise UsageError(
                f"Search: suggest is a function (trial, limit) of an Optuna trial that returns levels, not "
                f"{self.suggest!r}"
            )
        if self.parameters is not None:
            arguments.whole("Search: parameters", self.parameters)

    @property
    def name(self) -> str:
        """The architecture's name."""
        one = self.architecture
        return one if isinstance(one, str) else one.name if isinstance(one, Architecture) else Architecture(one).name


def open_factors(searched: Architecture, known: Mapping[str, Factor]) -> list[Factor]:
    """A factor for each of the builder's keywords with a text for its default that isn't one of the `known` factors."""
    return [
        Factor(name, (default,), is_open=True, summary=f"of {searched.name}, as a search suggests it")
        for name, default in searched.keywords.items()
        if isinstance(default, str) and name not in known
    ]
