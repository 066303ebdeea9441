"""How many seeds tell a harmless difference from one that matters, and the rule that decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestPower

from bench.check.verdict import Interval, Verdict

CONFIDENCE = 0.95
POWER = 0.8

# What the first batch of seeds leaves open is judged again with a second one. Two looks at 5 % each would be wrong in
# up to 8.5 % of checks; at half of it each they are in at most 5 %, whatever they share (Bonferroni).
LOOKS = 2
LOOK_CONFIDENCE = 1 - (1 - CONFIDENCE) / LOOKS

# A row fails where its accuracy or its loss does, so each gets half of what remains. It passes only where both do,
# which needs no such share.
ENDPOINTS = 2
FAIL_CONFIDENCE = 1 - (1 - CONFIDENCE) / LOOKS / ENDPOINTS


@dataclass(frozen=True, slots=True)
class Planned:
    """Why so many seeds. `sd` is that of a seed's difference, `power` the chance that a batch of seeds, with as many
    again where it leaves a cell open, passes a tree with no difference; a tree that is worse, or better, by twice the
    margin fails with at least `found`."""

    margin: float
    sd: float
    seeds: int
    power: float
    found: float
    needed: int

    def __str__(self) -> str:
        return (
            f"margin {100 * self.margin:g} points of a cell's accuracy; a seed's difference has an sd of at most "
            f"{100 * self.sd:.2f} points, so {self.seeds} seeds, and {self.seeds} more where they leave it open, pass "
            f"an unchanged tree with a probability of {self.power:.1%} or more, and fail one that lost twice the "
            f"margin with {self.found:.1%} or more ({self.needed} would do for {POWER:.0%})"
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better a tree's values are than the baseline's: `interval` has the bounds that a pass needs, and `low`
    and `high` are those, further out, that a fail needs."""

    interval: Interval
    low: float
    high: float


def plan_seeds(margin: float, seed_sd: float, seeds: int) -> Planned:
    """The power of `seeds` seeds, where accuracies of one cell have a standard deviation of `seed_sd`.

    Differences of independent accuracies have an sd of sqrt(2) times that; pairing by seed can only narrow it.
    """
    sd = math.sqrt(2) * seed_sd
    found = _power(margin, sd, LOOKS * seeds, FAIL_CONFIDENCE)
    return Planned(margin, sd, seeds, _passing(margin, sd, LOOKS * seeds), found, seeds_needed(margin, sd))


def seeds_needed(margin: float, sd: float) -> int:
    """The fewest seeds a batch, at least 2, of which all batches pass an unchanged tree, and fail one that lost twice
    the margin, four times in five."""
    n = 2
    while min(_passing(margin, sd, LOOKS * n), _power(margin, sd, LOOKS * n, FAIL_CONFIDENCE)) < POWER:
        n += 1
    return n


def difference(gains: Sequence[float], margin: float, least: float) -> Difference:
    """The mean of gains, paired by seed, with Student's bounds. A spread below `least`, the smallest step that the
    values can take, is not believed."""
    values = np.asarray(gains, dtype=float)
    n, mean = values.size, float(values.mean())
    if n < 2:
        return Difference(Interval(mean, -math.inf, math.inf, margin, math.inf), -math.inf, math.inf)
    sd = max(float(values.std(ddof=1)), least)
    reach, far = (one_sided_reach(sd, n, confidence) for confidence in (LOOK_CONFIDENCE, FAIL_CONFIDENCE))
    detectable = margin + sd * detectable_effect(n, confidence=FAIL_CONFIDENCE)
    return Difference(Interval(mean, mean - reach, mean + reach, margin, detectable), mean - far, mean + far)


def one_sided_reach(sd: float, n: int, confidence: float = CONFIDENCE) -> float:
    """How far Student's one-sided bound lies from the mean of `n` values, at least 2, with this spread."""
    return _quantile(confidence, n - 1) * sd / math.sqrt(n)


@cache
def _quantile(confidence: float, degrees: int) -> float:
    return float(stats.t.ppf(confidence, degrees))


@cache
def detectable_effect(n: int, power: float = POWER, confidence: float = CONFIDENCE) -> float:
    """How many standard deviations beyond a limit a mean must lie to be told from it with this probability."""
    return float(TTestPower().solve_power(nobs=n, alpha=1 - confidence, power=power, alternative="larger"))


def judge(measured: Difference) -> Verdict:
    """pass: surely neither worse nor better by the margin; fail: surely one of them; inconclusive: the seeds can't
    tell."""
    interval = measured.interval
    if measured.high < -interval.margin or measured.low > interval.margin:
        return Verdict.FAIL
    within = interval.low > -interval.margin and interval.high < interval.margin
    return Verdict.PASS if within else Verdict.INCONCLUSIVE


def _passing(margin: float, sd: float, n: int) -> float:
    """At no difference both bounds have to lie within the margin."""
    return max(0.0, 2 * _power(margin, sd, n, LOOK_CONFIDENCE) - 1)


def _power(margin: float, sd: float, n: int, confidence: float) -> float:
    if sd == 0:
        return 1.0
    return float(TTestPower().power(margin / sd, n, 1 - confidence, alternative="larger"))
