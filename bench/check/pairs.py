"""Two arms timed in pairs: how much slower one is, how surely, and what that means. Pure functions of samples.

A pair is a fresh process of each arm, one right after the other; its value is the log ratio of their medians. Pairs are
the replicates: iterations within a process share its luck (memory layout, neighbours on the machine), so an interval
over iterations would be far too narrow (Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from bench.check.power import CONFIDENCE, POWER, detectable_effect, one_sided_reach
from bench.check.verdict import Verdict

# How far the calibration workload, which no change to the tree can touch, may move before nothing is believed.
CALIBRATION_LIMIT = 0.02


@dataclass(frozen=True, slots=True)
class Slowdown:
    """How much longer the second arm takes, as fractions of the first's time: 0.05 is 5 % slower.

    `low` and `high` are one-sided 95 % bounds, each by itself. `sd` is that of the pairs' log ratios.
    """

    change: float
    low: float
    high: float
    sd: float
    pairs: int

    def detectable(self, tolerance: float) -> float:
        """The slowdown that would have been red four times in five at this spread, by both sets of pairs: a red needs
        two."""
        if self.pairs < 2:
            return math.inf
        return (1 + tolerance) * math.exp(self.sd * detectable_effect(self.pairs, math.sqrt(POWER))) - 1


def slowdown(base: Sequence[float], head: Sequence[float]) -> Slowdown:
    """From the seconds of both arms, pair by pair. Raises ValueError without a pair."""
    if len(base) != len(head) or not base:
        raise ValueError("every pair needs a time of both arms")
    logs = np.log(np.asarray(head, dtype=float)) - np.log(np.asarray(base, dtype=float))
    mean, n = float(logs.mean()), logs.size
    if n < 2:
        return Slowdown(math.expm1(mean), -1.0, math.inf, math.nan, n)
    sd = float(logs.std(ddof=1))
    reach = one_sided_reach(sd, n)
    return Slowdown(math.expm1(mean), math.expm1(mean - reach), math.expm1(mean + reach), sd, n)


def judge(measured: Slowdown, tolerance: float) -> Verdict:
    """fail: surely slower than the tolerance; pass: surely not; inconclusive: the pairs can't tell."""
    if measured.low > tolerance:
        return Verdict.FAIL
    return Verdict.PASS if measured.high <= tolerance else Verdict.INCONCLUSIVE


def confirmed(first: Verdict, second: Verdict) -> Verdict:
    """The verdict after new pairs: a fail stands only where the new pairs, by themselves, fail as well."""
    return Verdict.INCONCLUSIVE if first is Verdict.FAIL and second is not Verdict.FAIL else first


def calibration_moved(calibration: Slowdown) -> bool:
    """Whether the machine treated the arms so differently that no row of theirs can be believed."""
    return abs(calibration.change) > CALIBRATION_LIMIT


def rate_bounds(events: int, runs: int) -> tuple[float, float]:
    """One-sided 95 % bounds, each by itself, of the rate of an event (Clopper and Pearson 1934, Biometrika 26)."""
    low, high = proportion_confint(events, runs, alpha=2 * (1 - CONFIDENCE), method="beta")
    return float(low), float(high)
