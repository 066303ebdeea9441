"""A figure that one run was published with, held against runs of one's own: could it have been one of them?

A single run's figure has an error of its own. The test images are the same ones, so what is left is how much one run
differs from the next: a published figure is compared with the interval that one more run would fall into, not with the
interval of the mean, which shrinks to nothing with many runs. The share of test images that a run gets right by luck is
a part of how runs differ, and is not added once more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.report.stats.estimate import CONFIDENCE, Estimate, estimate
from bench.report.stats.status import Status

# What figures that are the same may differ by: they are fractions, published as decimals.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Held:
    """A published accuracy against `n` runs, of which `reached` got as far: `low` to `high` is the 95 % prediction
    interval of one more run, NaN where the runs tell none."""

    status: Status
    low: float
    high: float
    reached: int
    n: int


def hold_against(accuracies: Sequence[float] | np.ndarray, published: float) -> Held:
    """Whether a model reaches its published accuracy.

    - contradicted: the figure lies above the 95 % prediction interval of one more run. Had the published run been one
      of these, normally distributed, that would happen once in forty times, at any number of runs;
    - supported: the figure lies within the interval or below it, and a run reached it;
    - unsettled: anything else. One run, or runs that are all the same, tell no interval; and within an interval that is
      wide because runs are few, or because one of them failed to learn, may lie what none of them comes near.

    Accuracies are fractions. Raises ValueError for none.
    """
    runs = np.asarray(accuracies, dtype=float)
    low, high = one_more_run(estimate(runs))
    reached = int(np.count_nonzero(runs >= published - _ROUNDING))
    if published > high + _ROUNDING:
        status = Status.CONTRADICTED
    elif reached and not math.isnan(high):
        status = Status.SUPPORTED
    else:
        status = Status.UNSETTLED
    return Held(status, low, high, reached, runs.size)


def one_more_run(runs: Estimate) -> tuple[float, float]:
    """The 95 % prediction interval of one more run, mean -+ t sd sqrt(1 + 1/n); NaN without a spread."""
    if not runs.has_interval:
        return math.nan, math.nan
    half_width = math.hypot(runs.half_width, _quantile(runs.n - 1) * runs.sd)
    return runs.mean - half_width, runs.mean + half_width


def one_more_pair(difference: Estimate, treated: Estimate, baseline: Estimate) -> tuple[float, float]:
    """The 95 % prediction interval of one more run of the treated cell minus one more run of the baseline, which are
    taken for independent of each other; NaN without a spread. `difference` is of the means, however it was estimated;
    its uncertainty and the two runs' own (with Satterthwaite's degrees of freedom) are added as squares."""
    if not (difference.has_interval and treated.has_interval and baseline.has_interval):
        return math.nan, math.nan
    variances = np.square([treated.sd, baseline.sd])
    freedom = variances.sum() ** 2 / (variances**2 / [treated.n - 1, baseline.n - 1]).sum()
    half_width = math.hypot(difference.half_width, _quantile(freedom) * math.sqrt(variances.sum()))
    return difference.mean - half_width, difference.mean + half_width


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
