"""How well each class is recognised, from the recorded confusions: what accuracy hides where classes are of unequal
size."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.plan.cells import Cell
from bench.report.report import Report, once
from bench.report.sections.confusion.counts import ConfusionError, counted_pairs
from bench.report.stats.estimate import Estimate, estimate

# How rows write their counts: the pairs that occurred, or as older ones do a number for every pair.
_PAIRS = re.compile(r"[0-9]{1,9}:[0-9]{1,9}:[0-9]{1,9}(?: [0-9]{1,9}:[0-9]{1,9}:[0-9]{1,9})*").fullmatch
_NUMBERS = re.compile(r"[0-9]{1,9}(?: [0-9]{1,9})*").fullmatch

# Class by class, the number of test images and of those that were recognised.
Counts = tuple[NDArray[np.int64], NDArray[np.int64]]

# Accuracy and balanced accuracy tell different stories where they differ by more than this.
APART = 0.05


@dataclass(frozen=True, slots=True)
class Metric:
    """What a network is measured by: a name, what it is, its unit, and whether more is better."""

    name: str
    what: str
    unit: str = "%"
    more_is_better: bool = True


ACCURACY = Metric("accuracy", "the share of test images that were recognised")
BALANCED = Metric(
    "balanced accuracy", "the mean of the classes' recalls: every class counts alike, however many images"
)
RECALL = Metric("recall", "the share of a class's test images that were recognised")


@dataclass(frozen=True)
class Recall:
    """A cell's balanced accuracy over its seeds and, class by class, the number of test images (0: there is nothing to
    recognise) and each seed's recall, (seeds, classes), NaN for a class without images."""

    cell: Cell
    balanced: Estimate
    images: NDArray[np.int64]
    seeds: NDArray[np.float64]

    @property
    def of_classes(self) -> list[Estimate | None]:
        """Recall over seeds, None for a class without images."""
        return [estimate(self.seeds[:, label]) if images else None for label, images in enumerate(self.images.tolist())]

    @property
    def never(self) -> list[int]:
        """The classes of which no network of the cell recognised a single image, although there are some."""
        return [
            int(label) for label in np.flatnonzero((self.images > 0) & (np.nan_to_num(self.seeds) == 0).all(axis=0))
        ]

    @property
    def worst(self) -> int:
        """The class with the lowest mean recall."""
        means = np.where(self.images > 0, np.nan_to_num(self.seeds).mean(axis=0), np.inf)
        return int(np.argmin(means))


@once
def recalls(report: Report) -> Mapping[Cell, Recall]:
    """Of each cell whose trials recorded their confusions. Raises ConfusionError for a row that can't be counted."""
    evidence = report.evidence
    rows = evidence.confusion
    recorded = {
        trial: (classes, text)
        for trial, classes, text in zip(rows["trial"], rows["classes"], rows["counts"], strict=True)
    }
    found = {}
    for cell in evidence.cells:
        own = {trial: recorded[trial] for trial in evidence.rows(cell)["trial"] if trial in recorded}
        counted = _all_by_class(list(own.values())) or _one_by_one(cell, own)
        if counted is None:
            continue
        images, right = counted
        filled = images.any(axis=1)
        if filled.any():
            images, right = images[filled], right[filled]
            shares = np.where(images > 0, right / np.maximum(images, 1), np.nan)
            found[cell] = Recall(cell, estimate(np.nanmean(shares, axis=1)), images[-1], shares)
    return found


def _all_by_class(said: Sequence[tuple[int, str]]) -> Counts | None:
    """As `_by_class`, of many trials of the same classes at once, (trials, classes) each; None where one of them isn't
    plain, which is for `_by_class` to say."""
    texts = [text for _, text in said]
    if len({classes for classes, _ in said}) != 1:
        return None
    count = said[0][0]
    if all(map(_PAIRS, texts)):
        numbers = np.fromstring(" ".join(texts).replace(":", " "), dtype=np.int64, sep=" ").reshape(-1, 3)
        true, predicted, times = numbers.T
        trials = np.repeat(np.arange(len(texts)), [text.count(":") // 2 for text in texts])
        if max(true.max(), predicted.max()) >= count:
            return None
        counts = np.zeros((len(texts), count, 2), dtype=np.int64)
        np.add.at(counts, (trials, true, (true == predicted).astype(np.int64)), times)
        return counts.sum(axis=2), counts[:, :, 1]
    if all(map(_NUMBERS, texts)) and {text.count(" ") for text in texts} == {count**2 - 1}:
        dense = np.fromstring(" ".join(texts), dtype=np.int64, sep=" ").reshape(-1, count, count)
        return dense.sum(axis=2), dense.diagonal(axis1=1, axis2=2)
    return None


def _one_by_one(cell: Cell, said: Mapping[str, tuple[int, str]]) -> Counts | None:
    """None where there is nothing to count."""
    counted = [_by_class(trial, *own) for trial, own in said.items()]
    if not counted:
        return None
    if len({len(images) for images, _ in counted}) > 1:
        sizes = " and ".join(map(str, sorted({len(images) for images, _ in counted})))
        raise ConfusionError(
            f"confusion.csv has {sizes} classes for trials of {cell.label}: delete the lines that are wrong"
        )
    images, right = (np.array(part) for part in zip(*counted, strict=True))
    return images, right


def _by_class(trial: str, classes: int, text: str) -> Counts:
    """The number of a trial's test images and of the recognised ones, class by class."""
    true, predicted, times = counted_pairs(trial, classes, text)
    right = true == predicted
    images = np.bincount(true, weights=times, minlength=classes).astype(np.int64)
    return images, np.bincount(true[right], weights=times[right], minlength=classes).astype(np.int64)
