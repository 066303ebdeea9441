"""A search: networks that Optuna suggests, in rungs of successive halving, and random search beside it.

A search is a function of its rows. Asked again it makes its suggestions anew, tells Optuna what came of them, in the
order in which they were made, and so arrives where it was: a kill costs nothing, and rows may come from anywhere.
Suggestions come in brackets. All of a bracket are trained for a ninth of the epochs, the best third of these anew for a
third, and the best of those for all of them: each a trial of its own, with its own schedule, measured on held-out
training images. The next bracket's suggestions know what came of the ones before. Random search, the control, trains
each of its suggestions for all epochs at once, and as many of them as cost at least the epochs of the search.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import UsageError, near_matches, one_line
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Level
from bench.plan.proposing import Results
from bench.plan.protocol import Protocol
from bench.plan.search import Search
from bench.plan.trials import Trial

# A rung's trials last so many times as long as those of the one below, and are so many times fewer.
REDUCTION, _RUNGS = 3, 3

# Suggestions in a bracket: 18, 6 and 2 trials.
BRACKET = 18

# All trials of a search are of one seed, so that what is told apart is networks. Fresh seeds are others.
SEARCH_SEED = 0

# In which order suggestions come. Optuna's sampler begins at random: from one seed both arms would begin alike.
_SAMPLER_SEED, _SEED_AT_RANDOM = 0, 1

# After so many suggestions in a row that don't fit, or have been made before, others are drawn at random, and after as
# many of these there are no more.
_REFUSED = 50

# The two arms, as rows have them in `design`, with the limit of parameters behind it: search-8000.
SEARCHED, AT_RANDOM = "search", "random"


def rung_epochs(epochs: int) -> tuple[int, ...]:
    """How long the trials of each rung train, the last for all epochs."""
    return tuple(sorted({max(1, round(epochs / REDUCTION**below)) for below in range(_RUNGS)}))


def design_name(arm: str, limit: int | None) -> str:
    """What rows of an arm have as their design."""
    return arm if limit is None else f"{arm}-{limit}"


@dataclass(frozen=True)
class Arm:
    """One way to search: all trials that it has asked for by now, and those of them that are still to be trained;
    `whole` is the number of epochs of a trial that can win, and `is_over` says that it has nothing more to suggest."""

    name: str
    whole: int
    asked: tuple[Trial, ...]
    waiting: tuple[Trial, ...]
    is_over: bool = False

    @property
    def epochs(self) -> int:
        """What it has asked for, in epochs."""
        return sum(trial.protocol.epochs for trial in self.asked)

    def best(self, results: Results) -> tuple[Trial, float] | None:
        """The trial of all epochs with the highest accuracy on held-out images, the first of equals; None before there
        is one."""
        done = [
            (trial, reached)
            for trial in self.asked
            if trial.protocol.epochs == self.whole and (reached := results.get(trial)) is not None
        ]
        return max(done, key=lambda one: one[1], default=None)


@dataclass(frozen=True)
class Halving:
    """The design. `protocol` is that of a trial of all epochs, on held-out images; `limit` the most parameters that a
    network may have, which `size_of` says of a cell, None of one that can't be built."""

    search: Search
    protocol: Protocol
    limit: int | None
    size_of: Callable[[Cell], int | None]

    def propose(self, results: Results) -> Sequence[Trial]:
        """What both arms train next, side by side; none where they have nothing more to suggest."""
        return side_by_side(self.look(results))

    def look(self, results: Results) -> tuple[Arm, Arm]:
        """Where the search and random search stand with these results. Raises UsageError for a space that suggests
        what can't be."""
        searched = self._searched(results)
        return searched, self._at_random(results, searched.epochs)

    def fresh(self, cell: Cell, seeds: int) -> list[Trial]:
        """The trials that measure a network on the test set, with so many seeds that the search hasn't seen."""
        return [Trial(cell, SEARCH_SEED + 1 + number, replace(self.protocol, val=0)) for number in range(seeds)]

    def _searched(self, results: Results) -> Arm:
        asker, asked, whole = _Asker(self, at_random=False), list[Trial](), self.protocol.epochs
        rungs = rung_epochs(whole)
        while entrants := asker.ask(BRACKET):
            for number, epochs in enumerate(rungs):
                trials = [self._trial(entrant.cell, epochs) for entrant in entrants]
                asked += trials
                if waiting := tuple(trial for trial in trials if trial not in results):
                    return Arm(SEARCHED, whole, tuple(asked), waiting)
                reached = [results[trial] or 0.0 for trial in trials]
                order = sorted(range(len(entrants)), key=lambda place: -reached[place])
                staying = -(-len(entrants) // REDUCTION) if number + 1 < len(rungs) else 0
                for place in sorted(order[staying:]):
                    asker.tell(entrants[place], reached[place], epochs, done=not staying)
                entrants = [entrants[place] for place in sorted(order[:staying])]
        return Arm(SEARCHED, whole, tuple(asked), (), is_over=True)

    def _at_random(self, results: Results, epochs: int) -> Arm:
        wanted = -(-epochs // self.protocol.epochs)
        entrants = _Asker(self, at_random=True).ask(wanted)
        asked = tuple(self._trial(entrant.cell, self.protocol.epochs) for entrant in entrants)
        waiting = tuple(trial for trial in asked if trial not in results)
        return Arm(AT_RANDOM, self.protocol.epochs, asked, waiting, is_over=len(asked) < wanted)

    def _trial(self, cell: Cell, epochs: int) -> Trial:
        return Trial(cell, SEARCH_SEED, replace(self.protocol, epochs=epochs))


def side_by_side(arms: Sequence[Arm]) -> list[Trial]:
    """What the arms wait for, each trial once, in an order in which their costs grow alike."""
    begun: list[tuple[int, Trial]] = []
    for arm in arms:
        cost = arm.epochs - sum(trial.protocol.epochs for trial in arm.waiting)
        for trial in arm.waiting:
            begun.append((cost, trial))
            cost += trial.protocol.epochs
    return list(dict.fromkeys(trial for _, trial in sorted(begun, key=lambda one: one[0])))


@dataclass(frozen=True, eq=False)
class _Entrant:
    """A suggestion that is trained: its cell, and Optuna's trial."""

    cell: Cell
    suggested: Any


@dataclass
class _Asker:
    """Optuna's side of an arm: what it suggests next, and what it was told."""

    design: Halving
    at_random: bool
    made: set[Cell] = field(default_factory=set)
    smallest: int | None = None

    def __post_init__(self) -> None:
        import optuna  # an extra, which only a search needs

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.random = optuna.samplers.RandomSampler(_SEED_AT_RANDOM)
        self.sampler = self.random if self.at_random else optuna.samplers.TPESampler(seed=_SAMPLER_SEED)
        self.study = optuna.create_study(direction="maximize", sampler=self.sampler)
        self.states = optuna.trial.TrialState

    def ask(self, count: int) -> list[_Entrant]:
        """So many suggestions that fit and that weren't made before, or as many as there are. Raises UsageError where
        none has ever fitted."""
        found: list[_Entrant] = []
        while len(found) < count and (entrant := next(self._fitting(), None)) is not None:
            found.append(entrant)
        if not self.made:
            search = self.design.search
            least = "none can be built" if self.smallest is None else f"the smallest has {self.smallest:,}"
            raise UsageError(
                f"none of {2 * _REFUSED} networks that the search of {search.name} suggests fits into "
                f"{self.design.limit or 0:,} parameters ({least}): suggest smaller ones, or allow more by --parameters"
            )
        return found

    def tell(self, entrant: _Entrant, reached: float, epochs: int, *, done: bool) -> None:
        """What came of an entrant after so many epochs, the last that it is trained for."""
        entrant.suggested.report(reached, epochs)
        if done:
            self.study.tell(entrant.suggested, reached)
        else:
            self.study.tell(entrant.suggested, state=self.states.PRUNED)

    def _fitting(self) -> Iterator[_Entrant]:
        for number in range(2 * _REFUSED):
            self.study.sampler = self.sampler if number < _REFUSED else self.random
            suggested = self.study.ask()
            cell = suggested_cell(self.design.search, suggested, self.design.limit)
            if cell in self.made:
                self.study.tell(suggested, state=self.states.FAIL)
                continue
            over = self._over(cell)
            suggested.set_constraint("parameters", over)
            if over <= 0:
                self.made.add(cell)
                yield _Entrant(cell, suggested)
                return
            self.study.tell(suggested, 0.0)  # Optuna learns what doesn't fit

    def _over(self, cell: Cell) -> float:
        """By how much a cell's network is too large, as a share of the limit; 0 where it fits."""
        size, limit = self.design.size_of(cell), self.design.limit
        if size is None:
            return 1.0
        self.smallest = min(size, self.smallest or size)
        return 0.0 if limit is None else max(size / limit - 1, 0.0)


def suggested_cell(search: Search, suggested: Any, limit: int | None) -> Cell:
    """The cell that a trial's suggestions make. Raises UsageError for what is no level, and where `suggest` fails."""
    try:
        levels = search.suggest(suggested, limit)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise UsageError(
            f"the search of {search.name} fails in suggest: {type(error).__name__}: {one_line(error)} ({where})"
        ) from error
    return _at_levels(search, levels)


def _at_levels(search: Search, levels: object) -> Cell:
    if not isinstance(levels, Mapping):
        raise UsageError(f"the search of {search.name}: suggest returns levels, as in {{'width': 16}}, not {levels!r}")
    known, cell = catalogue().by_name, preset_cell(search.name)
    for name, level in levels.items():
        if name not in known:
            raise UsageError(
                f"the search of {search.name} suggests {name!r}, which is no factor: {near_matches(str(name), known)}"
            )
        cell = cell.with_level(known[name], _level(search, name, level))
    return cell


def _level(search: Search, name: str, level: object) -> Level:
    try:
        return catalogue().by_name[name].checked(level)
    except UsageError as error:
        raise UsageError(f"the search of {search.name} suggests {name}={level!r}: {error}") from None
