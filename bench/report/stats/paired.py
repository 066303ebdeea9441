"""Two cells compared seed by seed: the difference, a test that assumes nothing, and what so few seeds can find."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats
from scipy.special import gammaln
from statsmodels.stats.power import TTestPower

from bench.report.stats.estimate import CONFIDENCE, Estimate, estimate

POWER = 0.8
ALPHA = 1 - CONFIDENCE
MOST_SEEDS = 1_000_000

# Up to 16 seeds every pattern of signs is tried, beyond that random ones.
_EXACT_SEEDS = 16
_RANDOM_PATTERNS = 9_999
_PATTERNS_AT_ONCE = 100  # they stay in the cache


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treated minus baseline, paired by seed.

    `p` is two-sided and exact (a sign-flip test of a mean difference of 0; an estimate from 9,999 random patterns above
    16 seeds), `p_attainable` the smallest that this many differing seeds could have given. `effect_size` is
    Hedges' g of the differences. `correlation` is between the two cells over the seeds: above 0, pairing narrowed the
    interval.
    """

    difference: Estimate
    p: float
    p_attainable: float
    effect_size: float
    correlation: float


def compare(treated: Sequence[float] | np.ndarray, baseline: Sequence[float] | np.ndarray) -> Comparison:
    """Compares values of the same seeds, in the same order. Raises ValueError for unequal lengths or none."""
    first, second = np.asarray(treated, dtype=float), np.asarray(baseline, dtype=float)
    if first.shape != second.shape:
        raise ValueError("paired values need a partner each")
    differences = first - second
    difference = estimate(differences)
    return Comparison(
        difference=difference,
        p=sign_flip_p(differences),
        p_attainable=smallest_sign_flip_p(int(np.count_nonzero(differences))),
        effect_size=_hedges_g(difference),
        correlation=_correlation(first, second),
    )


def sign_flip_p(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the hypothesis that each difference might as well have had the other sign.

    The only assumption is symmetry about 0 (Fisher 1935, The Design of Experiments, section 21).
    """
    array = np.asarray(differences, dtype=float)
    if not array.any():
        return 1.0
    if array.size == 1:
        return smallest_sign_flip_p(1)
    if array.size > _EXACT_SEEDS:
        return _random_sign_flip_p(array)
    result = stats.permutation_test(
        (array,),
        np.mean,
        permutation_type="samples",
        alternative="two-sided",
        n_resamples=2**_EXACT_SEEDS,
        vectorized=True,
        batch=4096,
    )
    return float(result.pvalue)


def smallest_sign_flip_p(n: int) -> float:
    """The smallest two-sided p that `n` differences other than 0 can give."""
    return min(1.0, 2.0 ** (1 - n) if n <= _EXACT_SEEDS else 2 / (_RANDOM_PATTERNS + 1))


def seeds_for_sign_flip(p: float) -> int:
    """The fewest seeds with which the sign-flip test can reach `p`."""
    return math.ceil(1 - math.log2(p))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of one family, adjusted for their number (Holm 1979)."""
    ordered = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    scaled = np.asarray(p_values, dtype=float)[ordered] * np.arange(len(p_values), 0, -1)
    adjusted[ordered] = np.minimum(np.maximum.accumulate(scaled), 1)
    return [float(p) for p in adjusted]


def smallest_effect_found(sd: float, n: int) -> float:
    """The difference that a paired t test of `n` seeds at 5 % finds four times in five, in the unit of `sd`."""
    if n < 2:
        return math.inf
    return sd * _detectable_effect(n)


def seeds_needed(effect: float, sd: float) -> int:
    """The seeds with which a paired t test at 5 % finds a difference of `effect` four times in five.

    MOST_SEEDS stands for that many or more: no number is too large, but the power of so many can't be computed.
    """
    n = 2
    while _power(effect / sd, n) < POWER:
        n *= 2
        if n >= MOST_SEEDS:
            return MOST_SEEDS
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _power(effect / sd, middle) < POWER else (low, middle)
    return high


def _random_sign_flip_p(differences: np.ndarray) -> float:
    """As scipy's permutation test estimates it, twice the smaller tail and the data among the patterns, which takes it
    half a second for 700 seeds."""
    generator = np.random.default_rng(0)
    observed = differences.sum()
    slack = 1e-14 * np.abs(differences).sum()  # sums of the same numbers in another order
    as_low, as_high = 1, 1
    for start in range(0, _RANDOM_PATTERNS, _PATTERNS_AT_ONCE):
        count = min(_PATTERNS_AT_ONCE, _RANDOM_PATTERNS - start)
        drawn = np.frombuffer(generator.bytes(count * -(-differences.size // 8)), dtype=np.uint8).reshape(count, -1)
        signs = np.unpackbits(drawn, axis=1, count=differences.size) * 2.0 - 1.0
        flipped = signs @ differences  # fractions all, which are multiplied ten times as fast as with whole numbers
        as_low += int((flipped <= observed + slack).sum())
        as_high += int((flipped >= observed - slack).sum())
    return min(1.0, 2 * min(as_low, as_high) / (_RANDOM_PATTERNS + 1))


def _power(effect_size: float, n: int) -> float:
    return float(TTestPower().power(effect_size, n, ALPHA))


@cache
def _detectable_effect(n: int) -> float:
    return float(TTestPower().solve_power(nobs=n, alpha=ALPHA, power=POWER))


def _hedges_g(difference: Estimate) -> float:
    """Mean over sd, corrected for the bias of few values (Hedges 1981, equation 6e)."""
    freedom = difference.n - 1
    if freedom < 2 or difference.sd == 0:
        return math.nan
    correction = math.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return difference.mean / difference.sd * correction


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.size < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])
