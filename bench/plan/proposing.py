"""Designs that may be asked again: what to train next, from what has come of the trials so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.plan.trials import Trial

# With fewer seeds a cell's spread can't be told.
FIRST_SEEDS = 5

# And with fewer in either arm nothing is settled: `bench.report.stats.sequential` says why.
LEAST_SEEDS = 10

# What came of the trials that have a row: the accuracy, a fraction; None of one that diverged or failed.
Results = Mapping[Trial, float | None]


class Proposes(Protocol):
    """A design that may be asked again when rows came in."""

    def propose(self, results: Results) -> Sequence[Trial]:
        """The trials to train next, none of which is in `results`; none at all when it has nothing more to ask."""


@dataclass(frozen=True, slots=True)
class Static:
    """A design that knows its trials from the first, whatever comes of them."""

    trials: tuple[Trial, ...]

    def propose(self, results: Results) -> Sequence[Trial]:
        """Those that have no row."""
        return [trial for trial in self.trials if trial not in results]
