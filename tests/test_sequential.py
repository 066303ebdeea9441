"""Looking again after more seeds: what intervals, verdicts and the allocation of seeds promise, by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, stats

from bench.plan.proposing import LEAST_SEEDS
from bench.report.stats.allocation import Outlook, Pair, differences, next_shares, outlooks
from bench.report.stats.contrast import contrast
from bench.report.stats.estimate import estimate
from bench.report.stats.sequential import (
    Seen,
    anytime,
    judge_seen,
    log_evidence,
    log_evidence_one_sided,
    reaching,
    seeds_for,
    smallest_found,
)
from bench.report.stats.verdict import ALPHA, Verdict
from tests.perf.settling import drawn, false_verdict, settle

MOST = 100


def running_t(values: NDArray[np.float64], mean: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of draws by rows, the t statistic after 3, 4, ... of a row's values, and how many these are."""
    counts = np.arange(1, values.shape[1] + 1)
    means = values.cumsum(1) / counts
    variances = ((values**2).cumsum(1) - counts * means**2)[:, 2:] / (counts[2:] - 1)
    return (means[:, 2:] - mean) / np.sqrt(variances / counts[2:]), counts[2:]


@pytest.mark.parametrize("alpha", [ALPHA, ALPHA / 16])
@pytest.mark.parametrize("skewed", [False, True])
def test_a_look_after_every_seed_from_3_to_100_errs_as_rarely_as_it_says(alpha: float, skewed: bool) -> None:
    """Differences of paired seeds, whose own values may have a long tail."""
    generator = np.random.default_rng(0)
    seeds = generator.exponential(size=(2, 20_000, MOST)) if skewed else generator.normal(size=(2, 20_000, MOST))
    t, counts = running_t(seeds[0] - seeds[1])
    ever = (log_evidence(t, counts - 1, counts) >= -math.log(alpha)).any(axis=1)
    assert stats.binomtest(int(np.sum(ever)), 20_000, alpha, "greater").pvalue > 0.001
    close = (log_evidence_one_sided(t, counts - 1, counts) >= -math.log(alpha)).any(axis=1)
    assert stats.binomtest(int(np.sum(close)), 20_000, alpha, "greater").pvalue > 0.001
    at_each = (np.abs(t) > stats.t.ppf(1 - alpha / 2, counts - 1)).any(axis=1)
    assert at_each.mean() > 4 * alpha  # Student's, which isn't made for it


@pytest.mark.parametrize("skewed", [False, True])
def test_a_family_with_seeds_where_they_decide_errs_in_one_of_twenty(skewed: bool) -> None:
    """Five toggles that do nothing, of unequal spreads, against a preset that had more seeds from the first."""
    arms, pairs = list(range(6)), [Pair[Any](toggle, 0) for toggle in range(1, 6)]
    false, covered, runs = 0, [], 60
    for number in range(runs):
        value = drawn(
            np.random.default_rng(number),
            arms,
            (1, 0.5, 1, 1.5, 2, 1),
            [0] * 6,
            correlation=0.2,
            skewed=skewed,
            most=MOST,
        )
        counts = {arm: 12 if arm == 0 else 5 for arm in arms}
        came = settle(pairs, value, 0.5, [0] * 5, most=MOST, batch=24, trials=240, counts=counts)
        false += false_verdict(came.verdicts, [0] * 5, 0.5)
        covered += [one is not None and one.low <= 0 <= one.high for one in came.last]
    assert stats.binomtest(false, runs, ALPHA, "greater").pvalue > 0.01
    assert np.mean(covered) >= 0.94


def test_the_evidence_is_the_likelihood_ratio_that_it_is_said_to_be() -> None:
    """Noncentral t densities over a normal prior on the effect size, over all of it and over its upper half."""

    def ratio(effect: float, t: float, n: int) -> float:
        return float(stats.nct.pdf(t, n - 1, math.sqrt(n) * effect) / stats.t.pdf(t, n - 1) * stats.norm.pdf(effect))

    for t, n in ((0.5, 6), (2.5, 12), (-1.5, 9), (4.0, 30)):
        below = integrate.quad(ratio, -8, 0, args=(t, n))[0]
        above = integrate.quad(ratio, 0, 8, args=(t, n))[0]
        assert float(log_evidence(t, n - 1, n)) == pytest.approx(math.log(below + above), abs=1e-6)
        assert float(log_evidence_one_sided(t, n - 1, n)) == pytest.approx(math.log(2 * above), abs=1e-6)


@given(st.integers(3, 200), st.floats(0.0005, 0.2))
def test_an_interval_ends_where_p_is_alpha(n: int, alpha: float) -> None:
    reach = reaching(alpha, n - 1, n)
    if math.isfinite(reach):
        assert float(log_evidence(reach, n - 1, n)) == pytest.approx(-math.log(alpha), rel=1e-6)
    else:
        assert float(log_evidence(1e9, n - 1, n)) < -math.log(alpha) + 1e-6


def test_it_is_wider_than_students_and_narrows_with_seeds() -> None:
    values = np.random.default_rng(0).normal(0.2, 1, size=200)
    widths = []
    for n in (5, 10, 40, 200):
        fixed, own = estimate(values[:n]), anytime(estimate(values[:n]), n, n)
        assert own.low < fixed.low < fixed.high < own.high
        assert own.p > fixed.p
        widths.append(own.half_width)
    assert widths == sorted(widths, reverse=True)
    four = anytime(estimate(values[:4]), 4, 4)
    assert not four.has_interval
    assert four.p == 1


def test_what_a_look_showed_stays() -> None:
    generator = np.random.default_rng(0)
    strong, nothing = (np.stack([generator.normal(size=20) + gain, generator.normal(size=20)], 1) for gain in (5, 0))
    first = Seen().after(anytime(contrast((1, -1), strong), 20, 20), 0.1)
    later = first.after(anytime(contrast((1, -1), nothing), 20, 20), 0.1)
    assert later == first
    assert [one.verdict for one in judge_seen([later, Seen()])] == [Verdict.HELPS, Verdict.INCONCLUSIVE]
    assert judge_seen([later], others=10**6)[0].p == pytest.approx(min(1, later.p * (10**6 + 1)))


def test_few_seeds_settle_nothing() -> None:
    n = LEAST_SEEDS - 1
    surely = np.stack([np.arange(n) % 2 + 1000.0, np.arange(n) % 3], 1)
    assert Seen().after(anytime(contrast((1, -1), surely), n, n), 0.1) == Seen()


def test_the_seeds_that_are_needed_would_find_it() -> None:
    needed = seeds_for(0.5, 1.0, 16)
    generator = np.random.default_rng(0)
    draws = generator.normal(0.5, 1, size=(2000, needed))
    t = draws.mean(1) / draws.std(1, ddof=1) * math.sqrt(needed)
    found = np.mean(log_evidence(t, needed - 1.0, float(needed)) >= -math.log(ALPHA / 16))
    assert 0.75 < found < 0.88
    own = anytime(estimate(draws[0]), needed, needed)
    assert smallest_found(own, 16) == pytest.approx(0.5 * own.sd, rel=0.05)


PAIRS = [Pair("near", "preset"), Pair("far", "preset")]


def values_of(**means: float) -> dict[str, dict[int, float]]:
    generator = np.random.default_rng(1)
    noise = {name: generator.normal(size=12) for name in means}
    return {name: dict(enumerate((mean + noise[name] - noise[name].mean()).tolist())) for name, mean in means.items()}


def looked_at(values: dict[str, dict[int, float]], most: int = 1000) -> tuple[dict[int, Outlook], dict[str, int]]:
    looked = differences(PAIRS, values, 0.0)
    seen = [Seen() if one is None else Seen().after(one, 0.1) for one in looked]
    found = outlooks(PAIRS, values, looked, judge_seen(seen), 0.1, most)
    return found, {name: len(own) for name, own in values.items()}


def test_seeds_go_where_they_settle_something_soonest() -> None:
    found, counts = looked_at(values_of(preset=0, near=0.9, far=0.5))
    assert found[0].more is not None
    assert found[1].more is not None
    assert 0 < found[0].more < found[1].more
    shares = next_shares(PAIRS, found, counts, 1000, 4)
    assert sum(share.seeds for share in shares) == 4
    assert {share.arm for share in shares} <= {"near", "preset"}


def test_a_cell_without_seeds_gets_its_first_ones_and_no_cell_more_than_it_may() -> None:
    found, counts = looked_at({**values_of(preset=0, near=1.3), "far": {0: 0.1}})
    assert [(share.arm, share.seeds) for share in next_shares(PAIRS, found, counts, 1000, 4)] == [("far", 4)]
    found, counts = looked_at(values_of(preset=0, near=0.3, far=0.2), most=12)
    assert next_shares(PAIRS, found, counts, 12, 4) == []


def test_what_is_foretold_comes_about() -> None:
    """Twelve seeds foretell how many settle it, within a factor of two as often as not."""
    ratios = []
    for number in range(30):
        value = drawn(
            np.random.default_rng(number), ["a", "b"], (1, 1), (1.2, 0), correlation=0, skewed=False, most=400
        )
        pairs = [Pair[Any]("a", "b")]
        values: dict[Any, dict[int, float]] = {arm: {seed: value(arm, seed) for seed in range(12)} for arm in "ab"}
        looked = differences(pairs, values, 0.0)
        [outlook] = outlooks(pairs, values, looked, judge_seen([Seen()]), 0.05, 400).values()
        came = settle(pairs, value, 0.05, [1.2], most=400, batch=1)
        if outlook.more is not None:
            ratios.append((24 + outlook.more) / came.closed_at[0])
    assert 0.5 < float(np.median(ratios)) < 2
