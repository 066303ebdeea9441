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


@dataclass(frozen=True, slots=True)
class Slowdown:
    """How much longer the second arm takes, as fractions of the first's time: 0.05 is 5 % slower.

    `low` and `high` are one-sided 95 % bounds, each by itself, and further out by `moved`: the logarithm of what the
    machine itself seemed to differ by between the arms. `sd` is that of the pairs' log ratios.
    """

    change: float
    low: float
    high: float
    sd: float
    pairs: int
    moved: float = 0.0

    def detectable(self, tolerance: float) -> float:
        """The slowdown that would have been red four times in five at this spread, by both sets of pairs: a red needs
        two."""
        if self.pairs < 2:
            return math.inf
        reach = self.sd * detectable_effect(self.pairs, math.sqrt(POWER)) + self.moved
        return (1 + tolerance) * math.exp(reach) - 1

    @property
    def log_ratio(self) -> tuple[float, float, int]:
        """The mean log ratio of the arms, its standard error, and the number of pairs."""
        error = self.sd / math.sqrt(self.pairs) if self.pairs > 1 else math.inf
        return math.log1p(self.change), math.hypot(error, self.moved), self.pairs


def slowdown(base: Sequence[float], head: Sequence[float], moved: float = 0.0) -> Slowdown:
    """From the seconds of both arms, pair by pair, where the machine moved by so much, on a log scale. Raises
    ValueError without a pair.

    What moved widens the interval on both sides. Dividing by it would add the calibration's noise, and would believe
    that every workload suffers as the calibration does.
    """
    if len(base) != len(head) or not base:
        raise ValueError("every pair needs a time of both arms")
    logs = np.log(np.asarray(head, dtype=float)) - np.log(np.asarray(base, dtype=float))
    mean, n = float(logs.mean()), logs.size
    if n < 2:
        return Slowdown(math.expm1(mean), -1.0, math.inf, math.nan, n)
    sd = float(logs.std(ddof=1))
    reach = one_sided_reach(sd, n) + moved
    return Slowdown(math.expm1(mean), math.expm1(mean - reach), math.expm1(mean + reach), sd, n, moved)


def pairs_needed(pairs: int) -> int:
    """How many of so many pairs must be there for a row to be judged: half of them, and two for an interval."""
    return max(2, (pairs + 1) // 2)


def judge(measured: Slowdown, tolerance: float) -> Verdict:
    """fail: surely slower than the tolerance; pass: surely not; inconclusive: the pairs can't tell."""
    if measured.low > tolerance:
        return Verdict.FAIL
    return Verdict.PASS if measured.high <= tolerance else Verdict.INCONCLUSIVE


def confirmed(first: Verdict, second: Verdict) -> Verdict:
    """The verdict after new pairs: a fail stands only where the new pairs, by themselves, fail as well."""
    return Verdict.INCONCLUSIVE if first is Verdict.FAIL and second is not Verdict.FAIL else first


def rate_bounds(events: int, runs: int) -> tuple[float, float]:
    """One-sided 95 % bounds, each by itself, of the rate of an event (Clopper and Pearson 1934, Biometrika 26)."""
    low, high = proportion_confint(events, runs, alpha=2 * (1 - CONFIDENCE), method="beta")
    return float(low), float(high)
