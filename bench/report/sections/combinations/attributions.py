"""Each technique's share of the gain from one model's preset to the next one's."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from bench.plan.catalogue import catalogue, find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import Estimate
from bench.report.stats.factorial import shapley


@dataclass(frozen=True)
class Attribution:
    """The gain from one preset to another, shared out over the factors that differ (Shapley), on the first one's
    layers.

    `layers` is what remains: the second model's layers (widths, padding, pools) in place of the first's, which no
    technique may be credited with. None where the second preset wasn't trained.
    """

    start: str
    end: str
    start_accuracy: float
    shares: dict[str, Estimate]
    layers: Estimate | None

    @property
    def shares_in_words(self) -> dict[str, Estimate]:
        """The shares by what a sentence calls the second preset's level: `batch norm`, `no dropout`."""
        levels = preset_cell(self.end).levels
        return {
            factor.in_words(level_of(levels, factor)): self.shares[factor.name] for factor in find_factors(self.shares)
        }


@once
def attributions(report: Report) -> tuple[Attribution, ...]:
    """One per pair of successive models whose factors were all tried on the first one's layers."""
    evidence, found = report.evidence, []
    trained = set(evidence.cells)
    for start, end in pairwise(catalogue().models):
        before, after = preset_cell(start), preset_cell(end)
        factors = before.differences(after)
        subsets = _subsets(trained, before, after)
        if len(factors) < 2 or subsets is None:
            continue
        values = {subset: evidence.values(cell) for subset, cell in subsets.items()}
        names = [factor.name for factor in factors]
        found.append(
            Attribution(
                start=start,
                end=end,
                start_accuracy=float(np.mean(list(values[frozenset()].values()))),
                shares=shapley(values, names, evidence.step),
                layers=_layers(evidence, after, values[frozenset(names)]) if after in trained else None,
            )
        )
    return tuple(found)


def _layers(evidence: Evidence, after: Cell, whole: Values) -> Estimate:
    return contrast((1, -1), aligned([evidence.values(after), whole]), evidence.step)


def _subsets(trained: Set[Cell], before: Cell, after: Cell) -> dict[frozenset[str], Cell] | None:
    """The first cell with the second one's levels of any of the factors that differ, by the factors' names. None where
    one wasn't trained, which is found before there are too many to try."""
    factors = before.differences(after)
    subsets = {}
    for size in range(len(factors) + 1):
        for chosen in combinations(factors, size):
            cell = _with_levels_of(before, after, chosen)
            if cell not in trained:
                return None
            subsets[frozenset(factor.name for factor in chosen)] = cell
    return subsets


def _with_levels_of(cell: Cell, other: Cell, factors: Sequence[Factor]) -> Cell:
    for factor in factors:
        cell = cell.with_level(factor, level_of(other.levels, factor))
    return cell
