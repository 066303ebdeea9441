"""What techniques do together: factorials, and each technique's share of the gain between two presets."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np

from bench.plan.catalogue import catalogue, find_architecture, find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.evidence import Evidence
from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import Estimate
from bench.report.stats.factorial import (
    Interaction,
    MainEffect,
    Responses,
    complete_sets,
    interactions,
    main_effects,
    shapley,
)


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
        return self.factors[factor].in_words(next(one for one in self.levels[factor] if one == level))

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
    """Architecture by architecture, the largest sets of two or more factors of which every combination of the levels
    that were combined with others was trained on two or more shared seeds."""
    for architecture, cells in by_architecture(evidence.cells):
        preset = preset_cell(architecture)
        seeds = {cell: frozenset(evidence.values(cell)) for cell in cells}
        for factors, levels, _ in complete_factorials(preset, seeds):
            yield _factorial(evidence, preset, factors, levels)


def by_architecture(cells: Iterable[Cell]) -> Iterator[tuple[str, list[Cell]]]:
    """The cells of each architecture that has some, in the order of the catalogue."""
    groups: dict[str, list[Cell]] = {name: [] for name in catalogue().architectures}
    for cell in cells:
        groups[cell.architecture].append(cell)
    return ((name, own) for name, own in groups.items() if own)


def toggled(cells: Sequence[Cell]) -> Iterator[tuple[Factor, Cell, Cell]]:
    """Every one of the cells that differs in one factor from its preset, which is among them: the factor, then the cell
    with the later of its levels and the one with the earlier."""
    for cell in cells:
        preset = preset_cell(cell.architecture)
        if preset in cells and len(changed := cell.differences(preset)) == 1:
            [factor] = changed
            baseline, treated = sorted((preset, cell), key=lambda c: factor.levels.index(level_of(c.levels, factor)))
            yield factor, treated, baseline


def complete_factorials(
    preset: Cell, seeds: Mapping[Cell, frozenset[int]]
) -> Iterator[tuple[tuple[Factor, ...], tuple[tuple[Level, ...], ...], list[int]]]:
    """The largest sets of two or more factors of which every combination was trained on two or more shared seeds, with
    the levels that were combined and those seeds. `seeds` has those of each cell of one architecture; other factors
    stay as in `preset`."""
    factors = [f for f in catalogue().factors if find_architecture(preset.architecture).applies(f)]
    levels = _combined_levels(preset, factors, seeds)
    by_changes: dict[tuple[int, ...], list[frozenset[int]]] = {}
    for cell, own in seeds.items():
        changed = tuple(factors.index(factor) for factor in cell.differences(preset))
        if all(level_of(cell.levels, factors[place]) in levels[place] for place in changed):
            by_changes.setdefault(changed, []).append(own)
    for places, shared in complete_sets(by_changes, list(map(len, levels))):
        yield tuple(factors[place] for place in places), tuple(levels[place] for place in places), sorted(shared)


def _combined_levels(preset: Cell, factors: Sequence[Factor], cells: Iterable[Cell]) -> list[tuple[Level, ...]]:
    """Of each factor the preset's level, and those of cells that differ from it in another factor as well: a level that
    joins a factor, and was only toggled, takes no factorial away."""
    combined = {factor.name: {level_of(preset.levels, factor)} for factor in factors}
    for cell in cells:
        changed = cell.differences(preset)
        if len(changed) > 1:
            for factor in changed:
                combined[factor.name].add(level_of(cell.levels, factor))
    return [tuple(level for level in factor.levels if level in combined[factor.name]) for factor in factors]


def attributions(evidence: Evidence) -> Iterator[Attribution]:
    """One per pair of successive models whose factors were all tried on the first one's layers."""
    trained = set(evidence.cells)
    for start, end in pairwise(catalogue().architectures):
        before, after = preset_cell(start), preset_cell(end)
        factors = before.differences(after)
        subsets = _subsets(trained, before, after)
        if len(factors) < 2 or subsets is None:
            continue
        values = {subset: evidence.values(cell) for subset, cell in subsets.items()}
        names = [factor.name for factor in factors]
        yield Attribution(
            start=start,
            end=end,
            start_accuracy=float(np.mean(list(values[frozenset()].values()))),
            shares=shapley(values, names, evidence.step),
            layers=_layers(evidence, after, values[frozenset(names)]) if after in trained else None,
        )


def _layers(evidence: Evidence, after: Cell, whole: Values) -> Estimate:
    return contrast((1, -1), aligned([evidence.values(after), whole]), evidence.step)


def _factorial(
    evidence: Evidence, preset: Cell, factors: tuple[Factor, ...], levels: tuple[tuple[Level, ...], ...]
) -> Factorial:
    cells = _combinations(preset, factors, levels)
    values = aligned([evidence.values(cell) for cell in cells.values()])
    responses = Responses(list(cells), values, evidence.step)
    return Factorial(
        architecture=preset.architecture,
        factors=factors,
        levels=levels,
        seeds=int((~np.isnan(values)).sum(axis=0).min()),
        effects=tuple(main_effects(responses, levels)),
        interactions=tuple(interactions(responses, levels)),
    )


def _combinations(
    preset: Cell, factors: Sequence[Factor], levels: Sequence[Sequence[Level]]
) -> dict[tuple[Level, ...], Cell]:
    cells = {}
    for combination in product(*levels):
        cell = preset
        for factor, level in zip(factors, combination, strict=True):
            cell = cell.with_level(factor, level)
        cells[combination] = cell
    return cells


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
