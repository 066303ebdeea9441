"""What techniques do together: factorials, and each technique's share of the gain between two presets."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

from architectures.registry import ARCHITECTURES
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import FACTORS, Factor, Level, find_factors, level_of
from bench.report.evidence import Evidence
from bench.report.stats.estimate import Estimate, estimate
from bench.report.stats.factorial import Interaction, MainEffect, interactions, main_effects, shapley


@dataclass(frozen=True)
class Factorial:
    """Every combination of some factors' levels on one architecture, the other factors as in its preset."""

    architecture: str
    factors: tuple[Factor, ...]
    levels: tuple[tuple[Level, ...], ...]
    seeds: int
    effects: tuple[MainEffect, ...]
    interactions: tuple[Interaction, ...]

    def in_words(self, factor: int, level: Hashable) -> str:
        """A level of the factor at place `factor`, as a sentence calls it."""
        return self.factors[factor].words[self.levels[factor].index(level)]

    def main_effect(self, factor: Factor, level: Level) -> Estimate:
        """The main effect of one of the factors' levels but its first."""
        place = self.factors.index(factor)
        return next(main.effect for main in self.effects if (main.factor, main.level) == (place, level))


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


def factorials(evidence: Evidence) -> Iterator[Factorial]:
    """Architecture by architecture, the largest sets of two or more factors of which every combination was trained on
    two or more shared seeds."""
    for architecture in ARCHITECTURES:
        yield from _factorials(evidence, architecture)


def attributions(evidence: Evidence) -> Iterator[Attribution]:
    """One per pair of successive models whose factors were all tried on the first one's layers."""
    for start, end in pairwise(ARCHITECTURES):
        before, after = preset_cell(start), preset_cell(end)
        factors = before.differences(after)
        subsets = {
            frozenset(factor.name for factor in chosen): _with_levels_of(before, after, chosen)
            for size in range(len(factors) + 1)
            for chosen in combinations(factors, size)
        }
        cells = [*subsets.values(), *([after] if after in evidence.cells else [])]
        seeds = evidence.shared_seeds(cells)
        if len(factors) < 2 or len(seeds) < 2:
            continue
        values = {subset: evidence.accuracies(cell, seeds) for subset, cell in subsets.items()}
        whole = values[frozenset(factor.name for factor in factors)]
        yield Attribution(
            start=start,
            end=end,
            start_accuracy=float(values[frozenset()].mean()),
            shares=shapley(values, [factor.name for factor in factors]),
            layers=estimate(evidence.accuracies(after, seeds) - whole) if after in evidence.cells else None,
        )


def _factorials(evidence: Evidence, architecture: str) -> Iterator[Factorial]:
    preset = preset_cell(architecture)
    found: list[set[str]] = []
    for size in range(len(FACTORS), 1, -1):
        for factors in combinations(FACTORS, size):
            names = {factor.name for factor in factors}
            if any(names <= larger for larger in found):
                continue
            cells = _combinations(preset, factors)
            seeds = evidence.shared_seeds(cells.values())
            if len(seeds) < 2:
                continue
            found.append(names)
            levels = [factor.levels for factor in factors]
            responses = {combination: evidence.accuracies(cell, seeds) for combination, cell in cells.items()}
            yield Factorial(
                architecture=architecture,
                factors=factors,
                levels=tuple(levels),
                seeds=len(seeds),
                effects=tuple(main_effects(responses, levels)),
                interactions=tuple(interactions(responses, levels)),
            )


def _combinations(preset: Cell, factors: Sequence[Factor]) -> dict[tuple[Level, ...], Cell]:
    cells = {}
    for levels in product(*(factor.levels for factor in factors)):
        cell = preset
        for factor, level in zip(factors, levels, strict=True):
            cell = cell.with_level(factor, level)
        cells[levels] = cell
    return cells


def _with_levels_of(cell: Cell, other: Cell, factors: Sequence[Factor]) -> Cell:
    for factor in factors:
        cell = cell.with_level(factor, level_of(other.levels, factor))
    return cell
