"""Ensembles of seeds: groups of so many trials, no trial in two of them, whose probabilities are averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.record.probabilities import LogProbabilities, quality
from bench.report.stats.estimate import Estimate, estimate

SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Ensembles:
    """Ensembles of `size` seeds: over disjoint groups the accuracy (a fraction), the loss in nats, the Brier score and
    the calibration error; n is the number of groups, and one group has no interval."""

    size: int
    accuracy: Estimate
    loss: Estimate
    brier: Estimate
    calibration_error: Estimate


def ensembles(
    predicted: Sequence[LogProbabilities], labels: NDArray[np.int64], sizes: Sequence[int] = SIZES
) -> list[Ensembles]:
    """One for each size that there are enough trials for. `predicted` are the trials' logarithms of probabilities,
    (images, classes), in the order of their seeds; groups are made in that order, and what is left over of it is in
    none.

    Groups that shared a trial, as all subsets do, would vary too little for their number: an interval over them would
    promise more than it keeps.
    """
    step = 1 / len(labels)
    found = []
    for size in sizes:
        groups = [predicted[at : at + size] for at in range(0, len(predicted) - size + 1, size)]
        if groups:
            of_size = [quality(averaged(group), labels) for group in groups]
            found.append(
                Ensembles(
                    size,
                    estimate([one.accuracy for one in of_size], step),
                    estimate([one.loss for one in of_size]),
                    estimate([one.brier for one in of_size]),
                    estimate([one.calibration_error for one in of_size]),
                )
            )
    return found


def averaged(predicted: Sequence[LogProbabilities]) -> LogProbabilities:
    """The logarithm of the mean probabilities."""
    if len(predicted) == 1:
        return predicted[0]  # half the room keeps who is first of equals, and no sum is as careful
    total = np.zeros(predicted[0].shape)
    for one in predicted:
        logs = one.astype(np.float64)
        total += np.exp(logs - np.log(np.exp(logs).sum(1, keepdims=True)))
    mean: LogProbabilities = np.log(np.maximum(total / len(predicted), np.finfo(float).tiny))
    return mean
