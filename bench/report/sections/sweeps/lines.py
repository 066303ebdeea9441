"""How accuracy moves along an axis of numbers: a factor with three levels or more, or what the protocol says."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.estimate import Estimate, estimate

# A factor with fewer levels is a switch, and its effect says it all.
_FEWEST_LEVELS = 3

# What protocols may differ in, by column, and what it is called.
_PROTOCOL = {"lr": "learning rate", "batch_size": "batch size", "epochs": "epochs"}


@dataclass(frozen=True, slots=True)
class Line:
    """One architecture along an axis: the value and the accuracy over seeds there, in ascending order; `preset` is the
    value at its preset, None where rates go by cells."""

    architecture: str
    points: tuple[tuple[float, Estimate], ...]
    preset: float | None

    @property
    def best(self) -> float:
        """The highest mean."""
        return max(accuracy.mean for _, accuracy in self.points)


@dataclass(frozen=True, slots=True)
class Sweep:
    """An axis, and a line for each architecture that was trained at several of its values, all else as in its
    preset."""

    axis: str
    lines: tuple[Line, ...]


@once
def sweeps(report: Report) -> tuple[Sweep, ...]:
    """One per axis that some architecture was trained along, factors first."""
    return tuple(_sweeps(report.evidence))


def _sweeps(evidence: Evidence) -> Iterator[Sweep]:
    trained = [name for name in catalogue().architectures if any(c.architecture == name for c in evidence.cells)]
    for factor in catalogue().factors:
        if len(factor.levels) >= _FEWEST_LEVELS and all(type(level) in {int, float} for level in factor.levels):
            lines = [line for name in trained if (line := _along_factor(evidence, factor, name)) is not None]
            if lines:
                yield Sweep(factor.name.replace("_", " "), tuple(lines))
    presets = {cell.label: cell for cell in evidence.cells if cell.is_preset}
    for column, words in _PROTOCOL.items():
        rows = evidence.rates if column == "lr" else evidence.swept[column]
        own = rows.loc[rows["cell"].isin(presets), ["cell", column, "test_accuracy"]]
        by_cell = dict(iter(own.groupby("cell", sort=False)))
        lines = [_along_column(cell, by_cell[label], column) for label, cell in presets.items() if label in by_cell]
        lines = [line for line in lines if len(line.points) > 1]
        if lines:
            yield Sweep(words, tuple(lines))


def _along_factor(evidence: Evidence, factor: Factor, name: str) -> Line | None:
    if not find_architecture(name).applies(factor):
        return None
    preset = preset_cell(name)
    points = []
    for level in sorted(factor.levels, key=float):
        accuracies = evidence.rows(preset.with_level(factor, level))["test_accuracy"].to_numpy(dtype=float)
        if len(accuracies):
            points.append((float(level), estimate(accuracies)))
    own = float(preset.levels[factor.name])
    return Line(name, tuple(points), own) if len(points) >= _FEWEST_LEVELS else None


def _along_column(cell: Cell, rows: pd.DataFrame, column: str) -> Line:
    points = [
        (float(value), estimate(rows.loc[rows[column] == value, "test_accuracy"].to_numpy(dtype=float)))
        for value in sorted(rows[column].unique())
    ]
    return Line(cell.architecture, tuple(points), None)
