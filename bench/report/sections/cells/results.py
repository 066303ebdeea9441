"""What each cell reached over its seeds."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.plan.cells import Cell
from bench.report.report import Report, once
from bench.report.sections.cells.cost import Cost, costs
from bench.report.sections.confusion.recalls import recalls
from bench.report.stats.chance import collapsed
from bench.report.stats.estimate import Estimate, estimate


@dataclass(frozen=True)
class CellResult:
    """A cell over its seeds. Accuracies are fractions, the last epoch's on the test set. `collapsed` trials ended
    within the sampling error of chance: a mean over these and others tells little, and its interval covers too rarely.
    """

    cell: Cell
    accuracies: "pd.Series[float]"
    accuracy: Estimate
    median: float
    collapsed: int
    train_accuracy: float
    cost: Cost
    unfinished: int

    @property
    def is_preset(self) -> bool:
        """Whether this is its architecture's preset."""
        return self.cell.is_preset


@once
def cell_results(report: Report) -> tuple[CellResult, ...]:
    """One per cell, in the order of the evidence's cells."""
    chance, unfinished = _chance(report), Counter(report.evidence.unfinished["cell"])
    return tuple(_result(report, cell, unfinished[cell.label], chance) for cell in report.evidence.cells)


def preset_results(report: Report) -> list[CellResult]:
    """Those of the presets that were trained."""
    return [result for result in cell_results(report) if result.is_preset]


def _chance(report: Report) -> float:
    """The accuracy of always saying the commonest class; of classes of equal size where none were counted."""
    images = next((recall.images for recall in recalls(report).values()), None)
    if images is None:
        return 1 / int(report.evidence.trials["classes"].max())
    return float(images.max() / images.sum())


def _result(report: Report, cell: Cell, unfinished: int, chance: float) -> CellResult:
    evidence = report.evidence
    rows = evidence.rows(cell)
    accuracies = rows["test_accuracy"].to_numpy(dtype=float)
    return CellResult(
        cell=cell,
        accuracies=rows["test_accuracy"],
        accuracy=estimate(accuracies, evidence.step),
        median=float(np.median(accuracies)),
        collapsed=collapsed(accuracies, chance, evidence.step),
        train_accuracy=float(rows["train_accuracy"].mean()),
        cost=costs(report).of(cell),
        unfinished=unfinished,
    )
