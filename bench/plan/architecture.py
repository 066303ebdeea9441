"""An architecture: a way to build networks, and what goes with it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from bench.errors import UsageError, near_matches
from bench.plan import arguments
from bench.plan.factors import Factor
from bench.plan.levels import Level, Levels, format_level

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Published:
    """The figures that an architecture was published with, from a single run on `dataset`.

    `curve` maps an epoch to (training accuracy, test accuracy), fractions in [0, 1].
    """

    parameters: int
    epochs: int
    test_accuracy: float
    dataset: str
    curve: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arguments.whole("Published: parameters", self.parameters)
        arguments.whole("Published: epochs", self.epochs)
        arguments.share("Published: test_accuracy", self.test_accuracy)
        arguments.text("Published: dataset", self.dataset)
        for epoch, pair in arguments.mapping("Published: curve", "{1: (0.69, 0.96)}", self.curve).items():
            arguments.whole("Published: an epoch of the curve", epoch)
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise UsageError(f"Published: the curve has training and test accuracy at an epoch, not {pair!r}")
            for accuracy in pair:
                arguments.share("Published: an accuracy of the curve", accuracy)


@dataclass(frozen=True, eq=False)
class Architecture:
    """A way to build networks: `build(shape, classes, **levels)` returns an nn.Module that maps float images
    (N, channels, height, width) to logits (N, classes); `shape` is (channels, height, width).

    Its keywords are the network factors that apply to it, their defaults its preset. `preset` says the levels of
    training factors where they aren't `off`. `name` is the builder's, if not said; `title` the first line of its
    docstring; `source` says where layers and figures come from.
    """

    build: Callable[..., Any]
    name: str = ""
    title: str = ""
    preset: Mapping[str, Level] = field(default_factory=dict)
    published: Published | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not callable(self.build):
            raise UsageError(
                "an architecture is a function (shape, classes, **levels) that returns an nn.Module, not "
                f"{self.build!r}"
            )
        if inspect.iscoroutinefunction(self.build) or inspect.isgeneratorfunction(self.build):
            raise UsageError(f"{self.build.__name__} gives its network later: make it a plain function that returns it")
        arguments.text("an architecture's title", self.title)
        arguments.text("an architecture's source", self.source)
        arguments.mapping("an architecture's preset", "{'scheduler': 'onecycle'}", self.preset)
        if self.published is not None and not isinstance(self.published, Published):
            raise UsageError(f"published is Published(...) from bench.study, not {type(self.published).__name__}")
        named = arguments.text("an architecture's name", self.name) or getattr(self.build, "__name__", "")
        named = named or type(self.build).__name__
        if not _is_plain(named):
            raise UsageError(
                f"an architecture's name is up to {_LONGEST_NAME} letters, digits, - and _, not {named!r}: "
                "give it one, as in Architecture(build, name='tiny')"
            )
        object.__setattr__(self, "name", named)
        if not self.title:
            object.__setattr__(self, "title", _first_line(self.build))

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """What can be said beside shape and classes, with its default. Raises UsageError for a builder that can't be
        called so."""
        try:
            parameters = list(inspect.signature(self.build).parameters.values())
        except (TypeError, ValueError):
            raise UsageError(f"{self.name}: its parameters can't be read: wrap it in a function") from None
        placed = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
        if len(placed) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
            raise UsageError(
                f"{self.name} takes ({', '.join(p.name for p in parameters)}): a builder takes (shape, classes, ...)"
            )
        said = [*placed[2:], *(p for p in parameters if p.kind is p.KEYWORD_ONLY)]
        for parameter in said:
            if parameter.default is parameter.empty:
                raise UsageError(
                    f"{self.name}: its keyword {parameter.name} has no default: a default is the level of the preset"
                )
        return {parameter.name: parameter.default for parameter in said}

    def applies(self, factor: Factor) -> bool:
        """Whether the factor can be switched on this architecture."""
        return not factor.changes_network or factor.name in self.keywords

    def levels(self, factors: Sequence[Factor]) -> Levels:
        """The preset: a level of each factor, `off` of those that don't apply. Raises UsageError for a default or a
        preset that is none of a factor's levels."""
        known = {factor.name: factor for factor in factors}
        said = {name: level for name, level in self.keywords.items() if name in known}
        for name, level in self.preset.items():
            if name not in known:
                raise UsageError(f"{self.name}: no factor is called {name!r}: {near_matches(name, known)}")
            if known[name].changes_network:
                raise UsageError(
                    f"{self.name}: the preset of {name}, which changes the network, is its keyword's default"
                )
            said[name] = level
        for name, level in said.items():
            if not any(one == level and isinstance(one, bool) == isinstance(level, bool) for one in known[name].levels):
                written = ", ".join(map(format_level, known[name].levels))
                raise UsageError(
                    f"{self.name}: its preset of {name} is {level!r}, none of the factor's levels {written}"
                )
        return Levels({factor.name: said.get(factor.name, factor.off) for factor in factors})

    def published_on(self, dataset: str) -> Published | None:
        """The published figures if they are about this data set."""
        return self.published if self.published is not None and self.published.dataset == dataset else None


def _is_plain(name: str) -> bool:
    plain = name.isidentifier() or (name.isascii() and name.replace("-", "_").replace(".", "_").isidentifier())
    return len(name) <= _LONGEST_NAME and plain


def _first_line(build: Callable[..., Any]) -> str:
    while isinstance(build, partial):  # what it says of itself is what partials are
        build = build.func
    text = inspect.getdoc(build) if not isinstance(build, type) else build.__doc__
    return (text or "").strip().partition("\n")[0].rstrip(".")
