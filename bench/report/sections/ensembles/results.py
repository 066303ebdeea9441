"""Ensembles of one cell's seeds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.plan.cells import Cell
from bench.plan.readouts import LAST
from bench.record.classes import unpacked_classes
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.ensembles import Ensembles, ensembles

# Fewer seeds make no ensemble.
_FEWEST = 2


@dataclass(frozen=True)
class EnsembleResult:
    """Ensembles of one cell's seeds, by size, of `parameters` a member."""

    cell: Cell
    by_size: tuple[Ensembles, ...]
    parameters: int


@once
def ensemble_results(report: Report) -> tuple[EnsembleResult, ...]:
    """Of each cell with the probabilities of two seeds or more, ensembles of the last weights."""
    evidence, results = report.evidence, []
    labels = _labels(evidence)
    if labels is None:
        return ()
    for cell in evidence.cells:
        trials = evidence.rows(cell)
        kept = [evidence.probabilities(str(trial), LAST) for trial in trials["trial"]]
        found = [one for one in kept if one is not None and len(one) == len(labels)]
        if len(found) >= _FEWEST:
            parameters = int(trials["parameters"].iloc[0])
            results.append(EnsembleResult(cell, tuple(ensembles(found, labels)), parameters))
    return tuple(results)


def _labels(evidence: Evidence) -> NDArray[np.int64] | None:
    """The labels of the test images; None where they weren't kept."""
    rows = evidence.labels
    if rows.empty:
        return None
    return unpacked_classes(str(rows["labels"].iloc[0]), int(rows["images"].iloc[0]))
