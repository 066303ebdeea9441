"""Which classes networks take for which, counted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.plan.cells import Cell, preset_cell
from bench.report.report import Report, once

# More would not fit in a sum over trials.
_MOST_IMAGES = 10**12


class ConfusionError(BenchError):
    """A row's counts are not what its classes call for."""


@dataclass(frozen=True)
class Confusion:
    """Counts (true class, predicted class) on the test images, summed over a cell's `n` trials."""

    cell: Cell
    counts: NDArray[np.int64]
    n: int


@once
def confusions(report: Report) -> tuple[Confusion, ...]:
    """One per model whose preset's trials recorded it. Raises ConfusionError for a row that can't be counted."""
    evidence, found = report.evidence, []
    rows = evidence.confusion
    recorded = {
        trial: (classes, text)
        for trial, classes, text in zip(rows["trial"], rows["classes"], rows["counts"], strict=True)
    }
    for cell in evidence.cells:
        trials = [trial for trial in evidence.rows(cell)["trial"] if trial in recorded]
        if trials and cell == preset_cell(cell.architecture):
            if len(classes := {recorded[trial][0] for trial in trials}) > 1:
                raise ConfusionError(
                    f"confusion.csv has {' and '.join(map(str, sorted(classes)))} classes for trials of {cell.label}: "
                    "delete the lines that are wrong"
                )
            counts = sum(_counts(trial, *recorded[trial]) for trial in trials)
            found.append(Confusion(cell, np.asarray(counts), len(trials)))
    return tuple(found)


def _counts(trial: str, classes: int, text: str) -> NDArray[np.int64]:
    """A row's counts, (classes, classes). It names the pairs that occurred, `true:predicted:count` each, as 1,000
    classes make a million pairs, or, as older rows do, has a number for every pair."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    true, predicted, times = counted_pairs(trial, classes, text)
    np.add.at(counts, (true, predicted), times)
    return counts


def counted_pairs(
    trial: str, classes: int, text: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of a row's counts the true classes, the predicted ones, and how often each pair occurred. Raises ConfusionError
    for a row that can't be counted."""
    try:
        if ":" in text:
            named = np.array([pair.split(":") for pair in text.split()], dtype=np.int64)
            true, predicted, times = named.T
            if named.min() < 0 or max(true.max(), predicted.max()) >= classes:
                raise ValueError("a class that there is not")
        else:
            named = np.array(text.split(), dtype=np.int64)
            dense = named.reshape(classes, classes)
            true, predicted = np.nonzero(dense)
            times = dense[true, predicted]
        if named.min() < 0 or named.max() > _MOST_IMAGES:
            raise ValueError("a number that no count can be")
    except (ValueError, OverflowError) as error:
        raise ConfusionError(
            f"confusion.csv has counts of trial {trial} that are not those of {classes} classes ({error}): "
            "delete the line"
        ) from None
    return true, predicted, times
