"""How many seeds tell a harmless difference in accuracy from one that matters, and the rule that decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestPower

from bench.check.verdict import Interval, Verdict

CONFIDENCE = 0.95
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Planned:
    """Why so many seeds. `sd` is that of a seed's difference, `power` the chance that one batch of seeds passes a tree
    with no difference, which is also the chance that it fails a tree that is worse by twice the margin."""

    margin: float
    sd: float
    seeds: int
    power: float
    needed: int

    def __str__(self) -> str:
        return (
            f"margin {100 * self.margin:g} points; a seed's difference has an sd of at most {100 * self.sd:.2f} "
            f"points, so {self.seeds} seeds pass an unchanged tree, and fail one that lost twice the margin, with a "
            f"probability of {self.power:.1%} or more ({self.needed} would do for {POWER:.0%})"
        )


def plan_seeds(margin: float, seed_sd: float, seeds: int) -> Planned:
    """The power of `seeds` seeds, where accuracies of one cell have a standard deviation of `seed_sd`.

    Differences of independent accuracies have an sd of sqrt(2) times that; pairing by seed can only narrow it.
    """
    sd = math.sqrt(2) * seed_sd
    return Planned(margin, sd, seeds, _power(margin, sd, seeds), seeds_needed(margin, sd))


def seeds_needed(margin: float, sd: float) -> int:
    """The fewest seeds, at least 2, whose one-sided bound lies within the margin four times in five."""
    n = 2
    while _power(margin, sd, n) < POWER:
        n += 1
    return n


def difference(values: Sequence[float], baseline: Sequence[float], margin: float, images: int) -> Interval:
    """Values minus baseline, paired by seed, with Student's one-sided bounds.

    An accuracy moves by whole images, so a spread below one of `images` is not believed.
    """
    differences = np.asarray(values, dtype=float) - np.asarray(baseline, dtype=float)
    n, mean = differences.size, float(differences.mean())
    if n < 2:
        return Interval(mean, -1.0, 1.0, margin, 1.0)
    sd = max(float(differences.std(ddof=1)), 1 / images)
    reach = one_sided_reach(sd, n)
    return Interval(mean, mean - reach, mean + reach, margin, margin + sd * detectable_effect(n))


def one_sided_reach(sd: float, n: int) -> float:
    """How far Student's one-sided 95 % bound lies from the mean of `n` values, at least 2, with this spread."""
    return float(stats.t.ppf(CONFIDENCE, n - 1)) * sd / math.sqrt(n)


def detectable_effect(n: int) -> float:
    """How many standard deviations beyond a limit a mean must lie to be told from it four times in five."""
    return float(TTestPower().solve_power(nobs=n, alpha=1 - CONFIDENCE, power=POWER, alternative="larger"))


def judge(measured: Interval) -> Verdict:
    """pass: surely not worse by the margin; fail: surely worse by more than it; inconclusive: the seeds can't tell."""
    if measured.low > -measured.margin:
        return Verdict.PASS
    return Verdict.FAIL if measured.high < -measured.margin else Verdict.INCONCLUSIVE


def _power(margin: float, sd: float, n: int) -> float:
    if sd == 0:
        return 1.0
    return float(TTestPower().power(margin / sd, n, 1 - CONFIDENCE, alternative="larger"))
