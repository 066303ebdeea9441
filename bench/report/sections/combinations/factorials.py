"""Every combination of some techniques on one model: main effects and interactions."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.contrast import aligned
from bench.report.stats.factorial import (
    Interaction,
    MainEffect,
    Responses,
    complete_sets,
    interactions,
    main_effects,
)
from bench.report.stats.verdict import Verdict, judge_family


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


@once
def factorials(report: Report) -> tuple[Factorial, ...]:
    """Architecture by architecture, the largest sets of two or more factors of which every combination of the levels
    that were combined with others was trained on two or more shared seeds."""
    evidence, found = report.evidence, []
    for architecture, cells in groupby(evidence.cells, key=lambda cell: cell.architecture):
        preset = preset_cell(architecture)
        seeds = {cell: frozenset(evidence.values(cell)) for cell in cells}
        for factors, levels, _ in complete_factorials(preset, seeds):
            found.append(_factorial(evidence, preset, factors, levels))
    return tuple(found)


@once
def verdicts(report: Report) -> Mapping[int, Verdict]:
    """On every main effect, one family, and on every interaction, another, by the object's id."""
    found: dict[int, Verdict] = {}
    for family in (
        [main for design in factorials(report) for main in design.effects],
        [pair for design in factorials(report) for pair in design.interactions],
    ):
        judged = judge_family([one.effect for one in family], report.margin)
        found |= {id(one): judgement.verdict for one, judgement in zip(family, judged, strict=True)}
    return found


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
