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

# What the first batch of seeds leaves open is judged again with a second one. Two looks at 5 % each would be wrong in
# up to 8.5 % of checks; at half of it each they are in at most 5 %, whatever they share (Bonferroni).
LOOKS = 2
LOOK_CONFIDENCE = 1 - (1 - CONFIDENCE) / LOOKS


@dataclass(frozen=True, slots=True)
class Planned:
    """Why so many seeds. `sd` is that of a seed's difference, `power` the chance that a batch of seeds, with as many
    again where it leaves a cell open, passes a tree with no difference, which is also the chance that it fails a tree
    that is worse by twice the margin."""

    margin: float
    sd: float
    seeds: int
    power: float
    needed: int

    def __str__(self) -> str:
        return (
            f"margin {100 * self.margin:g} points; a seed's difference has an sd of at most {100 * self.sd:.2f} "
            f"points, so {self.seeds} seeds, and {self.seeds} more where they leave it open, pass an unchanged tree, "
            f"and fail one that lost twice the margin, with a probability of {self.power:.1%} or more ({self.needed} "
            f"would do for {POWER:.0%})"
        )


def plan_seeds(margin: float, seed_sd: float, seeds: int) -> Planned:
    """The power of `seeds` seeds, where accuracies of one cell have a standard deviation of `seed_sd`.

    Differences of independent accuracies have an sd of sqrt(2) times that; pairing by seed can only narrow it.
    """
    sd = math.sqrt(2) * seed_sd
    return Planned(margin, sd, seeds, _power(margin, sd, LOOKS * seeds), seeds_needed(margin, sd))


def seeds_needed(margin: float, sd: float) -> int:
    """The fewest seeds a batch, at least 2, of which all batches' one-sided bound lies within the margin four times in
    five."""
    n = 2
    while _power(margin, sd, LOOKS * n) < POWER:
        n += 1
    return n


def difference(values: Sequence[float], baseline: Sequence[float], margin: float, images: int) -> Interval:
    """Values minus baseline, paired by seed, with Student's one-sided bounds, each wrong in at most one of twenty
    checks of two looks.

    An accuracy moves by whole images, so a spread below one of `images` is not believed.
    """
    differences = np.asarray(values, dtype=float) - np.asarray(baseline, dtype=float)
    n, mean = differences.size, float(differences.mean())
    if n < 2:
        return Interval(mean, -1.0, 1.0, margin, 1.0)
    sd = max(float(differences.std(ddof=1)), 1 / images)
    reach = one_sided_reach(sd, n, LOOK_CONFIDENCE)
    detectable = margin + sd * detectable_effect(n, confidence=LOOK_CONFIDENCE)
    return Interval(mean, mean - reach, mean + reach, margin, detectable)


def one_sided_reach(sd: float, n: int, confidence: float = CONFIDENCE) -> float:
    """How far Student's one-sided bound lies from the mean of `n` values, at least 2, with this spread."""
    return float(stats.t.ppf(confidence, n - 1)) * sd / math.sqrt(n)


def detectable_effect(n: int, power: float = POWER, confidence: float = CONFIDENCE) -> float:
    """How many standard deviations beyond a limit a mean must lie to be told from it with this probability."""
    return float(TTestPower().solve_power(nobs=n, alpha=1 - confidence, power=power, alternative="larger"))


def judge(measured: Interval) -> Verdict:
    """pass: surely not worse by the margin; fail: surely worse by more than it; inconclusive: the seeds can't tell."""
    if measured.low > -measured.margin:
        return Verdict.PASS
    return Verdict.FAIL if measured.high < -measured.margin else Verdict.INCONCLUSIVE


def _power(margin: float, sd: float, n: int) -> float:
    if sd == 0:
        return 1.0
    return float(TTestPower().power(margin / sd, n, 1 - LOOK_CONFIDENCE, alternative="larger"))
