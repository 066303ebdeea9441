"""What there is to choose from in a run: the architectures, factors, data sets and rates of one study.

One study is in use at a time, in the whole process: the built-in one, unless `using` or `use` says another. It is
checked when it is made, so that a level that nobody handles never falls through to a default.
"""

import importlib
import inspect
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from bench.errors import UsageError, near_matches
from bench.plan import arguments
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level, Levels, format_level

# Where the built-in study is; it is loaded when it is first asked for.
BUILT_IN = "bench.studies.mnist"


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

    def published_on(self, dataset: str) -> Published | None:
        """The published figures if they are about this data set."""
        return self.published if self.published is not None and self.published.dataset == dataset else None


@dataclass(frozen=True)
class Rates:
    """The learning rates of cells: `rate` by the levels of the factors called `by`, in their order.

    `tried` has what `bench select rates` tries for each entry. `selected` says whether they were chosen for this study,
    or are what the harness takes where nobody chose; `source` how they were, in half a sentence.
    """

    by: tuple[str, ...]
    rate: Mapping[tuple[Level, ...], float]
    tried: Mapping[tuple[Level, ...], tuple[float, ...]] = field(default_factory=dict)
    selected: bool = True
    source: str = ""

    def of(self, levels: Levels) -> float | None:
        """The rate of a cell with these levels; None where there is none."""
        return self.rate.get(self.key(levels))

    def key(self, levels: Levels) -> tuple[Level, ...]:
        """The levels that the rate depends on."""
        return tuple(level_of(levels, factor) for factor in _of(self.by))


@dataclass(frozen=True)
class Defaults:
    """What a run of the study is when the command line doesn't say otherwise."""

    design: str = "toggles"
    seeds: int = 5
    epochs: int = 15
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float | None = None
    precision: str = "auto"


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What there is to choose from. `name` is the study's, `digest` that of the files it was read from, both empty for
    the built-in one; `named` is how a command names it. `claims` are what was claimed of its architectures, for the
    report to test, or a function that gives them; `checks` what `bench check quality` trains on which data set, of a
    study that says so. `modules` are those of the study's file and of what it imports from beside it, which other
    processes can't import."""

    architectures: Mapping[str, Architecture]
    factors: tuple[Factor, ...]
    rates: Rates
    datasets: Mapping[str, Any] = field(default_factory=dict)
    defaults: Defaults = field(default_factory=Defaults)
    claims: Sequence[Any] | Callable[[], Sequence[Any]] = ()
    checks: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    digest: str = ""
    named: str = ""
    modules: tuple[ModuleType, ...] = ()

    def command(self, verb: str, *words: str) -> str:
        """A command of the harness on this study, as `python -m bench report my_study.py`."""
        named = self.named or (f"{self.name}.py" if self.name else "")
        return shlex.join(["python", "-m", "bench", verb, *([named] if named else []), *words])

    @property
    def run_command(self) -> str:
        """The command that trains the study as it is."""
        return self.command("run", *([] if self.name else ["--all"]))

    @cached_property
    def by_name(self) -> dict[str, Factor]:
        """The factors by name."""
        return {factor.name: factor for factor in self.factors}

    @cached_property
    def by_column(self) -> dict[str, Factor]:
        """The factors by their column in rows."""
        return {factor.column: factor for factor in self.factors}

    @cached_property
    def columns(self) -> list[str]:
        """The factors' columns, in their order."""
        return list(self.by_column)

    @cached_property
    def network_columns(self) -> list[str]:
        """The columns of the factors that change the network."""
        return [factor.column for factor in self.factors if factor.changes_network]

    @cached_property
    def step_columns(self) -> list[str]:
        """The columns of the factors that change what a training step costs."""
        return [factor.column for factor in self.factors if factor.changes_step]

    @cached_property
    def presets(self) -> dict[str, Levels]:
        """Each architecture's levels, of all factors; those that don't apply to it are off."""
        return {name: _preset(architecture, self.factors) for name, architecture in self.architectures.items()}

    def check(self) -> None:
        """Raises UsageError for what can't be: two of one name, a factor that applies to nothing, a preset of no
        level."""
        names = [factor.name for factor in self.factors]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"two factors are called {twice}: rename one")
        if not self.architectures:
            raise UsageError("a study has at least one architecture")
        for factor in self.factors:
            if not any(architecture.applies(factor) for architecture in self.architectures.values()):
                keywords = {name for one in self.architectures.values() for name in one.keywords}
                raise UsageError(
                    f"factor {factor.name} applies to nothing: no architecture has a keyword of this name "
                    f"({near_matches(factor.name, sorted(keywords)) if keywords else 'none has keywords at all'}), and "
                    "it has no change=, a function (recipe, level) that returns a recipe"
                )
        _ = self.presets
        strangers = [name for name in self.rates.by if name not in names]
        if strangers:
            raise UsageError(
                f"rates depend on {strangers[0]!r}: no factor is called so: {near_matches(strangers[0], names)}"
            )


_current: list[Catalogue] = []


def catalogue() -> Catalogue:
    """The catalogue in use."""
    return _current[-1] if _current else built_in()


@cache
def built_in() -> Catalogue:
    """The built-in study's catalogue."""
    found: Catalogue = importlib.import_module(BUILT_IN).CATALOGUE
    return found


def use(chosen: Catalogue) -> None:
    """Makes a catalogue the one in use from now on."""
    _current[:] = [chosen]


@contextmanager
def using(chosen: Catalogue) -> Iterator[None]:
    """Makes a catalogue the one in use within."""
    _current.append(chosen)
    try:
        yield
    finally:
        _current.pop()


def find_architecture(name: str) -> Architecture:
    """The architecture called so. Raises UsageError with near matches."""
    known = catalogue().architectures
    if name not in known:
        raise UsageError(f"no architecture is called {name!r}: {near_matches(name, known)}")
    return known[name]


def find_factors(names: Iterable[str]) -> tuple[Factor, ...]:
    """The factors called `names`, in the catalogue's order. Raises UsageError."""
    wanted = set(names)
    known = catalogue().by_name
    for name in sorted(wanted):
        if name not in known:
            raise UsageError(f"no factor is called {name!r}: {near_matches(name, known)}")
    return tuple(factor for factor in catalogue().factors if factor.name in wanted)


def written_levels(levels: Levels) -> dict[str, str | float]:
    """What the rows' columns hold, by column: on and off for a switch, the level itself otherwise."""
    return {factor.column: factor.written(level_of(levels, factor)) for factor in catalogue().factors}


def read_levels(written: Mapping[str, object]) -> Levels:
    """The inverse of `written_levels`. Raises ValueError for what is no level of its factor."""
    return Levels({factor.name: factor.read(written.get(factor.column)) for factor in catalogue().factors})


def _of(names: Sequence[str]) -> tuple[Factor, ...]:
    known = catalogue().by_name
    return tuple(known[name] for name in names)


def _preset(architecture: Architecture, factors: Sequence[Factor]) -> Levels:
    known = {factor.name: factor for factor in factors}
    said = {name: level for name, level in architecture.keywords.items() if name in known}
    for name, level in architecture.preset.items():
        if name not in known:
            raise UsageError(f"{architecture.name}: no factor is called {name!r}: {near_matches(name, known)}")
        if known[name].changes_network:
            raise UsageError(
                f"{architecture.name}: the preset of {name}, which changes the network, is its keyword's default"
            )
        said[name] = level
    for name, level in said.items():
        if not any(one == level and isinstance(one, bool) == isinstance(level, bool) for one in known[name].levels):
            written = ", ".join(map(format_level, known[name].levels))
            raise UsageError(
                f"{architecture.name}: its preset of {name} is {level!r}, none of the factor's levels {written}"
            )
    return Levels({factor.name: said.get(factor.name, factor.off) for factor in factors})


def _is_plain(name: str) -> bool:
    plain = name.isidentifier() or (name.isascii() and name.replace("-", "_").replace(".", "_").isidentifier())
    return len(name) <= _LONGEST_NAME and plain


_LONGEST_NAME = 60


def _first_line(build: Callable[..., Any]) -> str:
    text = inspect.getdoc(build) if not isinstance(build, type) else build.__doc__
    return (text or "").strip().partition("\n")[0].rstrip(".")
