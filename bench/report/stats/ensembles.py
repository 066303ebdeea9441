"""Ensembles of seeds: groups of so many trials, no trial in two of them, whose probabilities are averaged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from bench.record.probabilities import LogProbabilities, Quality
from bench.report.stats.estimate import Estimate, estimate

SIZES = (1, 2, 4, 8, 16)

Member = TypeVar("Member")


@dataclass(frozen=True, slots=True)
class Ensembles:
    """Ensembles of `size` seeds: over disjoint groups the accuracy (a fraction), the loss in nats, the Brier score and
    the calibration error; n is the number of groups, and one group has no interval."""

    size: int
    accuracy: Estimate
    loss: Estimate
    brier: Estimate
    calibration_error: Estimate


def groups_of(members: Sequence[Member], sizes: Sequence[int] = SIZES) -> Iterator[Sequence[Member]]:
    """For each size the groups of so many, in the order given; what is left over of it is in none.

    Groups that shared a trial, as all subsets do, would vary too little for their number: an interval over them would
    promise more than it keeps.
    """
    for size in sizes:
        for start in range(0, len(members) - size + 1, size):
            yield members[start : start + size]


def ensembles(measured: Mapping[int, Sequence[Quality]], images: int) -> list[Ensembles]:
    """One for each size, of how good its groups are on so many images."""
    return [
        Ensembles(
            size,
            estimate([one.accuracy for one in of_size], 1 / images),
            estimate([one.loss for one in of_size]),
            estimate([one.brier for one in of_size]),
            estimate([one.calibration_error for one in of_size]),
        )
        for size, of_size in sorted(measured.items())
    ]


def averaged(predicted: Sequence[LogProbabilities]) -> LogProbabilities:
    """The logarithm of the mean probabilities, (images, classes)."""
    if len(predicted) == 1:
        return predicted[0]  # half the room keeps who is first of equals, and no sum is as careful
    total = np.zeros(predicted[0].shape)
    for one in predicted:
        logs = one.astype(np.float64)
        total += np.exp(logs - np.log(np.exp(logs).sum(1, keepdims=True)))
    mean: LogProbabilities = np.log(np.maximum(total / len(predicted), np.finfo(float).tiny))
    return mean
