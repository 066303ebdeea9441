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
    for architecture, cells in by_architecture(evidence.cells):
        preset = preset_cell(architecture)
        seeds = {cell: frozenset(evidence.values(cell)) for cell in cells}
        for factors, _ in complete_factorials(preset, seeds):
            yield _factorial(evidence, preset, factors)


def by_architecture(cells: Iterable[Cell]) -> Iterator[tuple[str, list[Cell]]]:
    """The cells of each architecture that has some, in the order of the catalogue."""
    groups: dict[str, list[Cell]] = {name: [] for name in catalogue().architectures}
    for cell in cells:
        groups[cell.architecture].append(cell)
    return ((name, own) for name, own in groups.items() if own)


def complete_factorials(
    preset: Cell, seeds: Mapping[Cell, frozenset[int]]
) -> Iterator[tuple[tuple[Factor, ...], list[int]]]:
    """The largest sets of two or more factors of which every combination was trained on two or more shared seeds, with
    those seeds. `seeds` has those of each cell of one architecture; other factors stay as in `preset`."""
    factors = [f for f in catalogue().factors if find_architecture(preset.architecture).applies(f)]
    by_changes: dict[tuple[int, ...], list[frozenset[int]]] = {}
    for cell, own in seeds.items():
        changed = cell.differences(preset)
        if all(level_of(cell.levels, factor) in factor.levels for factor in changed):
            by_changes.setdefault(tuple(factors.index(factor) for factor in changed), []).append(own)
    for places, shared in complete_sets(by_changes, [len(factor.levels) for factor in factors]):
        yield tuple(factors[place] for place in places), sorted(shared)


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


def _factorial(evidence: Evidence, preset: Cell, factors: tuple[Factor, ...]) -> Factorial:
    levels = [tuple(factor.levels) for factor in factors]
    cells = _combinations(preset, factors)
    values = aligned([evidence.values(cell) for cell in cells.values()])
    responses = Responses(list(cells), values, evidence.step)
    return Factorial(
        architecture=preset.architecture,
        factors=factors,
        levels=tuple(levels),
        seeds=int((~np.isnan(values)).sum(axis=0).min()),
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
