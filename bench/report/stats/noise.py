"""What correctness bits tell: where a cell's variance comes from, how two networks differ, which images are hard."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Bits = NDArray[np.bool_]

_IN_A_BYTE = 255


@dataclass(frozen=True, slots=True)
class VarianceSplit:
    """Standard deviations of accuracy, as fractions.

    - `observed`: between seeds, on this test set;
    - `seed`: between seeds if the test set were endless, the part that is a real difference between networks;
    - `test_set`: the rest of `observed`: which of the images near the edge each network happens to get;
    - `sampling`: of the cell's mean accuracy between test sets of this size.
    """

    observed: float
    seed: float
    test_set: float
    sampling: float
    seeds: int
    images: int


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two networks on the same images: how many only one of them got right, and the exact two-sided p."""

    only_first: int
    only_second: int
    p: float


def split_variance(correct: Bits) -> VarianceSplit:
    """Splits the variance between the seeds of one cell; `correct` is (seeds, images), at least 2 by 2.

    Jordan 2023 (arXiv 2304.01910): images are drawn independently, so the covariance between different
    images over seeds is the variance of networks' true accuracies, and what the images' own variances add is the
    test set's doing. Both parts are unbiased as variances; a negative one is reported as 0.
    """
    seeds, images = correct.shape
    # Counts first: on the bits themselves, means and variances over seeds would take eight bytes a bit.
    times_right = _times_right(correct)
    observed = (np.array([np.count_nonzero(bits) for bits in correct]) / images).var(ddof=1)
    own = (times_right * (seeds - times_right)).sum() / (seeds * (seeds - 1)) / images**2
    seed = (observed - own) * images / (images - 1)
    sampling = (times_right / seeds).var(ddof=1) / images
    return VarianceSplit(
        observed=float(np.sqrt(observed)),
        seed=float(np.sqrt(max(seed, 0.0))),
        test_set=float(np.sqrt(max(observed - max(seed, 0.0), 0.0))),
        sampling=float(np.sqrt(sampling)),
        seeds=seeds,
        images=images,
    )


def compare_networks(first: Bits, second: Bits) -> list[McNemar]:
    """McNemar's exact test (1947) of each pair of trials; `first` and `second` are (pairs, images)."""
    only_first = np.count_nonzero(first & ~second, axis=1)
    only_second = np.count_nonzero(second & ~first, axis=1)
    fewer = np.minimum(only_first, only_second)
    p_values = np.minimum(2 * stats.binom.cdf(fewer, only_first + only_second, 0.5), 1)
    return [
        McNemar(int(one), int(other), float(p)) for one, other, p in zip(only_first, only_second, p_values, strict=True)
    ]


def miss_rates(correct: Iterable[Bits]) -> NDArray[np.float64]:
    """The share of trials that got each image wrong, from the bits of some trials after others, (trials, images) each.
    Raises ValueError for none."""
    trials, right = 0, np.zeros((), dtype=np.int64)
    for bits in correct:
        trials, right = trials + len(bits), right + _times_right(bits)
    if not trials:
        raise ValueError("no trials to count")
    return 1 - right / trials


def _times_right(correct: Bits) -> NDArray[np.int64]:
    """How many trials got each image right, counted in bytes, a few trials at a time: numpy's own count over the first
    axis takes thirty times as long."""
    times = np.zeros(correct.shape[1:], dtype=np.int64)
    for start in range(0, len(correct), _IN_A_BYTE):
        times += correct[start : start + _IN_A_BYTE].view(np.uint8).sum(axis=0, dtype=np.uint8)
    return times
