"""What there is to choose from in a run: the architectures, factors, data sets and rates of one study.

One study is in use at a time, in the whole process: the built-in one, unless `using` or `use` says another. It is
checked when it is made, so that a level that nobody handles never falls through to a default.
"""

import importlib
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError, near_matches
from bench.plan.architecture import Architecture
from bench.plan.factors import LOOKED_UP, Factor, level_of
from bench.plan.handled import check_handled
from bench.plan.levels import Level, Levels

if TYPE_CHECKING:
    from bench.plan.cells import Cell
    from bench.plan.readouts import Readout
    from bench.plan.search import Search

# What rates may go by that is no factor.
ARCHITECTURE = "architecture"

# Where the built-in study is; it is loaded when it is first asked for.
BUILT_IN = "bench.studies.mnist"


@dataclass(frozen=True)
class Rates:
    """The learning rates of cells: `rate` by the levels of the factors called `by`, in their order, and where one of
    these is `architecture`, by the architecture's name.

    `tried` has what `bench select rates` tries for each entry. `selected` says whether they were chosen for this study,
    or are what the harness takes where nobody chose; `source` how they were, in half a sentence. `chosen_with` are the
    names of the architectures that they were chosen with, where that isn't all: others take them unselected. They are
    for an `optimizer`, and for so many `epochs`, where that isn't None: what a run on their data set takes if nobody
    says otherwise.
    """

    by: tuple[str, ...]
    rate: Mapping[tuple[Level, ...], float]
    tried: Mapping[tuple[Level, ...], tuple[float, ...]] = field(default_factory=dict)
    selected: bool = True
    source: str = ""
    chosen_with: Collection[str] = ()
    optimizer: str = "sgd"
    epochs: int | None = None

    def of(self, cell: "Cell") -> float | None:
        """The cell's rate; None where there is none."""
        return self.rate.get(self.key(cell))

    def is_selected(self, cell: "Cell") -> bool:
        """Whether somebody chose the cell's rate, with an architecture like the cell's."""
        return self.selected and (not self.chosen_with or cell.architecture in self.chosen_with)

    def key(self, cell: "Cell") -> tuple[Level, ...]:
        """What the cell's rate depends on."""
        known = catalogue().by_name
        return tuple(
            cell.architecture if name == ARCHITECTURE else level_of(cell.levels, known[name]) for name in self.by
        )


@dataclass(frozen=True)
class Defaults:
    """What a run of the study is when the command line doesn't say otherwise. Epochs, batch size and optimiser that are
    None are `Catalogue.usual_on` a data set."""

    design: str = "toggles"
    seeds: int = 5
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    precision: str = "auto"
    readouts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usual:
    """What a run takes that nobody says more of."""

    epochs: int
    batch_size: int
    optimizer: str


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What there is to choose from. `name` is the study's, `digest` that of the files it was read from, both empty for
    the built-in one; `named` is how a command names it. `rates_on` has the rates of data sets that have their own.
    `claims` are what was claimed of its architectures, for the report to test, or a function that gives them; `checks`
    what `bench check quality` trains on which data set, of a study that says so. `search` is the space that `bench
    search` looks through, `only_searched` names architectures that are there for it alone. `readouts` are the study's
    own. `modules` are those of the study's file and of what it imports from beside it, which other processes can't
    import."""

    architectures: Mapping[str, Architecture]
    factors: tuple[Factor, ...]
    rates: Rates
    rates_on: Mapping[str, Rates] = field(default_factory=dict)
    datasets: Mapping[str, Any] = field(default_factory=dict)
    defaults: Defaults = field(default_factory=Defaults)
    claims: Sequence[Any] | Callable[[], Sequence[Any]] = ()
    checks: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    digest: str = ""
    named: str = ""
    modules: tuple[ModuleType, ...] = ()
    search: "Search | None" = None
    readouts: "Mapping[str, Readout]" = field(default_factory=dict)
    only_searched: tuple[str, ...] = ()

    @cached_property
    def models(self) -> list[str]:
        """The names of the architectures that designs are about: not of those that are there for a search only, unless
        there are no others."""
        return [name for name in self.architectures if name not in self.only_searched] or list(self.architectures)

    def command(self, verb: str, *words: str) -> str:
        """A command of the harness on this study, as `python -m bench report my_study.py`."""
        named = self.named or (f"{self.name}.py" if self.name else "")
        return shlex.join(["python", "-m", "bench", verb, *([named] if named else []), *words])

    @property
    def run_command(self) -> str:
        """The command that trains the study as it is."""
        return self.command("run", *([] if self.name else ["--all"]))

    def usual_on(self, dataset: str, optimizer: str | None = None) -> Usual:
        """What a run on a data set takes, with an optimiser or the usual one: what the study says, or else what its
        rates there are for, or else what the data set does."""
        said, its, rates = self.defaults, self.datasets[dataset], self.rates_on.get(dataset, self.rates)
        chosen = optimizer or said.optimizer or rates.optimizer
        epochs = said.epochs or (rates.epochs if chosen == rates.optimizer else None) or its.epochs
        return Usual(epochs, said.batch_size or its.batch_size, chosen)

    def rates_for(self, dataset: object, optimizer: object) -> Rates:
        """The learning rates on a data set; those that it has of its own are for one optimiser."""
        own = self.rates_on.get(str(dataset))
        return own if own is not None and own.optimizer == optimizer else self.rates

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
        return {name: architecture.levels(self.factors) for name, architecture in self.architectures.items()}

    def check(self) -> None:
        """Raises UsageError for what can't be: two of one name, a factor that applies to nothing, a preset of no
        level."""
        names = [factor.name for factor in self.factors]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"two factors are called {twice}: rename one")
        if not self.architectures:
            raise UsageError("a study has at least one architecture")
        keywords = {name for one in self.architectures.values() for name in one.keywords}
        for factor in self.factors:
            if not any(architecture.applies(factor) for architecture in self.architectures.values()):
                raise UsageError(
                    f"factor {factor.name} applies to nothing: no architecture has a keyword of this name "
                    f"({near_matches(factor.name, sorted(keywords)) if keywords else 'none has keywords at all'}), and "
                    "it has no change=, a function (recipe, level) that returns a recipe"
                )
            check_handled(factor, keywords)
        _ = self.presets
        strangers = [name for name in self.rates.by if name not in (*names, ARCHITECTURE)]
        if strangers:
            raise UsageError(
                f"rates depend on {strangers[0]!r}: no factor is called so: {near_matches(strangers[0], names)}"
            )
        for name, own in self.rates_on.items():
            if name not in self.datasets:
                raise UsageError(f"rates_on: no data set is called {name!r}: {near_matches(name, self.datasets)}")
            if own.by != self.rates.by:
                raise UsageError(f"rates_on: those on {name} go by what `rates` go by: {', '.join(self.rates.by)}")


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


def looked_up_level(name: str, levels: Levels) -> str:
    """The level of the harness's own factor called so, which it looks up in its tables. Where the study has a factor of
    its own that is called so, that one's levels say what they do, and here the harness's is off."""
    factor, ours = catalogue().by_name.get(name), LOOKED_UP[name]
    return str(level_of(levels, factor) if factor is not None and factor.is_looked_up else ours.off)


def written_levels(levels: Levels) -> dict[str, str | float]:
    """What the rows' columns hold, by column: on and off for a switch, the level itself otherwise."""
    return {factor.column: factor.written(level_of(levels, factor)) for factor in catalogue().factors}


def read_levels(written: Mapping[str, object]) -> Levels:
    """The inverse of `written_levels`. Raises ValueError for what is no level of its factor."""
    return Levels({factor.name: factor.read(written.get(factor.column)) for factor in catalogue().factors})
