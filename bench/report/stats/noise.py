"""What correctness bits tell: where a cell's variance comes from, how two networks differ, which images are hard."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar

Bits = NDArray[np.bool_]


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
    observed = correct.mean(axis=1).var(ddof=1)
    own = correct.var(axis=0, ddof=1).sum() / images**2
    seed = (observed - own) * images / (images - 1)
    sampling = correct.mean(axis=0).var(ddof=1) / images
    return VarianceSplit(
        observed=float(np.sqrt(observed)),
        seed=float(np.sqrt(max(seed, 0.0))),
        test_set=float(np.sqrt(max(observed - max(seed, 0.0), 0.0))),
        sampling=float(np.sqrt(sampling)),
        seeds=seeds,
        images=images,
    )


def compare_networks(first: Bits, second: Bits) -> McNemar:
    """McNemar's exact test of two trials, each bool (images,)."""
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    if only_first + only_second == 0:
        return McNemar(0, 0, 1.0)
    table = [[int((first & second).sum()), only_first], [only_second, int((~first & ~second).sum())]]
    return McNemar(only_first, only_second, float(mcnemar(table, exact=True).pvalue))


def miss_rates(correct: Bits) -> NDArray[np.float64]:
    """The share of trials that got each image wrong; `correct` is (trials, images)."""
    rates: NDArray[np.float64] = 1 - correct.mean(axis=0)
    return rates
