"""Two cells compared: the difference, a test beside it that needs no normal distribution, and what so few seeds can
find."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats
from scipy.special import gammaln
from statsmodels.stats.power import TTestPower

from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import CONFIDENCE, Estimate
from bench.report.stats.verdict import ALPHA

POWER = 0.8
MOST_SEEDS = 1_000_000

# Up to 16 seeds every pattern of signs is tried, beyond that random ones.
_EXACT_SEEDS = 16
_RANDOM_PATTERNS = 9_999
_PATTERNS_AT_ONCE = 100  # they stay in the cache


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treated minus baseline, over all seeds of both: `treated` and `baseline` of them, and `shared`, the differences
    of those that both have.

    `sign_flip_p` is that of a mean difference of 0 over the shared seeds, two-sided and exact (an estimate from 9,999
    random patterns above 16 seeds); it takes no distribution for granted but symmetry about 0. `p_attainable` is the
    smallest that this many differing seeds could have given; both are 1 without a shared seed. `effect_size` is Hedges'
    g; `correlation` is between the two cells over the shared seeds: above 0, pairing narrowed the interval.
    """

    difference: Estimate
    treated: int
    baseline: int
    shared: tuple[float, ...]
    sign_flip_p: float
    p_attainable: float
    effect_size: float
    correlation: float


@dataclass(frozen=True, slots=True)
class SeedsNeeded:
    """The seeds in each arm that would do, and the range within which that is known: the spread of few seeds is itself
    an estimate, of five to a factor of 0.6 to 2.9."""

    usual: int
    low: int
    high: int


def compare(treated: Values, baseline: Values, step: float = 0.0) -> Comparison:
    """Compares the values of two cells by seed; `step` as in `estimate`. Raises ValueError where one has none."""
    values = aligned([treated, baseline])
    difference = contrast((1, -1), values, step)
    first, second = values[~np.isnan(values).any(axis=1)].T
    return Comparison(
        difference=difference,
        treated=len(treated),
        baseline=len(baseline),
        shared=tuple((first - second).tolist()),
        sign_flip_p=sign_flip_p(first - second),
        p_attainable=smallest_sign_flip_p(int(np.count_nonzero(first - second))),
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


def smallest_effect_found(difference: Estimate, tests: int = 1) -> float:
    """The difference that these seeds find four times in five, at the level that the first of so many `tests` has to
    reach: `judge_family` finds it at least as often. Infinite without an interval."""
    if not difference.has_interval:
        return math.inf
    count = difference.freedom + 1  # with which a paired test has as many degrees of freedom
    return difference.error * math.sqrt(count) * _detectable_effect(round(count, 1), tests)


def seeds_needed(effect: float, difference: Estimate, tests: int = 1) -> SeedsNeeded:
    """The seeds in each arm with which `judge_family` finds an `effect` four times in five among so many `tests`, if
    one seed's difference varies as in `difference`."""
    low, high = spread_range(difference)
    return SeedsNeeded(*(_seeds_needed(effect, sd, tests) for sd in (difference.sd, low, high)))


def spread_range(difference: Estimate) -> tuple[float, float]:
    """The 95 % interval of the standard deviation, of normal values."""
    freedom = max(difference.n - 1, 1)
    tails = stats.chi2.ppf([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2], freedom)
    low, high = difference.sd * np.sqrt(freedom / tails)
    return float(low), float(high)


def _seeds_needed(effect: float, sd: float, tests: int) -> int:
    """MOST_SEEDS stands for that many or more: no number is too large, but the power of so many can't be computed."""
    n = 2
    while _power(effect / sd, n, tests) < POWER:
        n *= 2
        if n >= MOST_SEEDS:
            return MOST_SEEDS
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _power(effect / sd, middle, tests) < POWER else (low, middle)
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


@cache
def _power(effect_size: float, n: int, tests: int) -> float:
    return float(TTestPower().power(effect_size, n, ALPHA / tests))


@cache
def _detectable_effect(n: float, tests: int) -> float:
    return float(TTestPower().solve_power(nobs=n, alpha=ALPHA / tests, power=POWER))


def _hedges_g(difference: Estimate) -> float:
    """Mean over sd, corrected for the bias of few values (Hedges 1981, equation 6e)."""
    freedom = difference.freedom
    if not freedom >= 2 or not difference.sd > 0:
        return math.nan
    correction = math.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return difference.mean / difference.sd * correction


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.size < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])
