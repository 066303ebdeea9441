"""What networks get wrong: which classes they take for which, and which images most of them miss."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.plan.cells import Cell
from bench.report.evidence import Evidence


@dataclass(frozen=True)
class Confusion:
    """Counts (true class, predicted class) on the test images, summed over a cell's `n` trials."""

    cell: Cell
    counts: NDArray[np.int64]
    n: int


@dataclass(frozen=True, slots=True)
class HardImage:
    """A test image, the share of all trials that missed it, and the image as base64 of a PNG, None if not recorded."""

    index: int
    missed: float
    label: int | None
    png: str | None


def confusions(evidence: Evidence) -> Iterator[Confusion]:
    """One per cell whose trials recorded it."""
    named = evidence.confusion.merge(evidence.trials[["trial", "cell"]], on="trial")
    by_cell = {str(label): rows for label, rows in named.groupby("cell", sort=False)}
    for cell in evidence.cells:
        if cell.label in by_cell:
            rows = by_cell[cell.label]
            classes = int(rows["classes"].iloc[0])
            counts = [np.array(text.split(), dtype=np.int64).reshape(classes, classes) for text in rows["counts"]]
            yield Confusion(cell, np.sum(counts, axis=0), len(rows))


def hard_images(evidence: Evidence, count: int) -> Iterator[HardImage]:
    """The test images that most trials missed, hardest first."""
    rows = evidence.images
    recorded = {
        image: (label, png) for image, label, png in zip(rows["image"], rows["label"], rows["png"], strict=True)
    }
    for index, missed in evidence.hardest_images(count):
        label, png = recorded.get(index, (None, None))
        yield HardImage(index, missed, label, png)
