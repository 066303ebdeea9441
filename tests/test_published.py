"""A published figure against runs of one's own."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.report.stats.estimate import estimate
from bench.report.stats.published import hold_against, one_more_pair, one_more_run
from bench.report.stats.status import Status

RUNS = [0.9880, 0.9884, 0.9882, 0.9878, 0.9886]


def rates(published_sds: float, runs: int, *, drawn: bool) -> dict[Status, float]:
    """How often each status comes up for a published run that is drawn like the others, or lies so many standard
    deviations above their mean."""
    generator = np.random.default_rng(1)
    tries = 4000
    statuses = []
    for _ in range(tries):
        own = 0.99 + 0.0005 * generator.normal(size=runs)
        published = 0.99 + 0.0005 * (generator.normal() if drawn else published_sds)
        statuses.append(hold_against(own, published).status)
    return {status: statuses.count(status) / tries for status in Status}


def test_the_interval_of_one_more_run_is_the_textbooks() -> None:
    low, high = one_more_run(estimate(RUNS))
    half_width = stats.t.ppf(0.975, 4) * np.std(RUNS, ddof=1) * math.sqrt(1 + 1 / 5)
    assert (low, high) == pytest.approx((np.mean(RUNS) - half_width, np.mean(RUNS) + half_width), rel=1e-12)
    assert all(math.isnan(end) for end in one_more_run(estimate([0.99, 0.99])))


@pytest.mark.parametrize("runs", [2, 5, 20])
def test_a_run_like_the_others_is_contradicted_once_in_forty_times_however_many_there_are(runs: int) -> None:
    found = rates(0, runs, drawn=True)
    assert found[Status.CONTRADICTED] == pytest.approx(0.025, abs=0.008)
    # No run gets as far as the published one where that is the best of all n + 1.
    assert found[Status.SUPPORTED] == pytest.approx(1 - 1 / (runs + 1), abs=0.025)


@pytest.mark.parametrize(("runs", "contradicted"), [(2, 0.1), (5, 0.55), (20, 0.95)])
def test_what_no_run_comes_near_is_never_supported_and_contradicted_with_enough_runs(
    runs: int, contradicted: float
) -> None:
    found = rates(4, runs, drawn=False)
    assert found[Status.SUPPORTED] < 0.005
    assert found[Status.CONTRADICTED] > contradicted


def test_a_mean_that_is_surely_lower_contradicts_no_single_run() -> None:
    """Twenty runs know their mean to a fifth of what one of them differs from it by."""
    runs = 0.9885 + 0.0002 * stats.norm.ppf((np.arange(20) + 0.5) / 20)
    assert estimate(runs).high < 0.9887
    held = hold_against(runs, 0.9887)
    assert (held.status, held.reached, held.n) == (Status.SUPPORTED, 3, 20)


def test_figures_that_are_the_same_are_reached() -> None:
    assert hold_against([0.1 + 0.2, 0.2, 0.2], 0.3).reached == 1
    assert hold_against([0.3, 0.2, 0.2], 0.1 + 0.2).reached == 1


@pytest.mark.parametrize(
    ("runs", "published"),
    [
        ([0.99], 0.98),
        ([0.99, 0.99, 0.99], 0.98),
        ([0.99, 0.99, 0.99], 0.995),
        # Nothing but the one that failed to learn makes room for it.
        ([0.9880, 0.9884, 0.9882, 0.1135, 0.9886], 0.9946),
    ],
)
def test_runs_that_tell_no_interval_or_a_useless_one_settle_nothing(runs: list[float], published: float) -> None:
    assert hold_against(runs, published).status == Status.UNSETTLED


def test_a_pair_of_runs_differs_by_the_means_error_and_by_that_of_both() -> None:
    generator = np.random.default_rng(2)
    inside = 0
    for _ in range(2000):
        treated, baseline = generator.normal(0.002, 0.001, 6), generator.normal(0, 0.0004, 15)
        difference = treated.mean() - baseline.mean()
        welch = stats.ttest_ind(treated, baseline, equal_var=False).confidence_interval()
        of_means = estimate([0.0, 1.0])
        of_means = type(of_means)(difference, 1.0, float(welch.low), float(welch.high), 6, 0.0, 0.0)
        low, high = one_more_pair(of_means, estimate(treated), estimate(baseline))
        inside += low <= generator.normal(0.002, 0.001) - generator.normal(0, 0.0004) <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)
    nothing = one_more_pair(estimate([0.1]), estimate(RUNS), estimate(RUNS))
    assert all(math.isnan(end) for end in nothing)
