"""A difference between cells, from every seed of each of them.

Cells rarely have the same seeds: a preset is trained with twenty, its toggles with five. To keep to the seeds that all
have in common throws most of the preset's away and gives another number than the cells' own means. Here the difference
is that of the means over all seeds, and its error takes into account which seeds are shared.

Seeds fall into groups by the cells they were trained in. Within a group each seed adds an independent share to the
difference, so the variance of a group's shares is observed, correlation and all, and the groups' variances add up.
Where all cells have the same seeds this is the paired t interval. The degrees of freedom are Satterthwaite's (1946),
but never more than so many seeds would have at equal spreads: the observed ones are largest just when the smaller arm's
spread came out too small, and far out in the tails, where a family of many contrasts looks, p values would be half of
what they should be (5 seeds against 20: at p = 0.003 twice as many false findings).

`python -m tests.perf.estimators` simulates it beside others: pairs of shared seeds, which throw away most of the
preset's; Welch's test, which is too sure where the correlation is negative; and the test for partially overlapping
samples (Derrick et al. 2017), which knows two arms only and errs in the same way in the tails. A mixed model can't
express a negative correlation.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.report.stats.estimate import Estimate, with_interval

# The values of one cell by seed.
Values = Mapping[int, float]


def aligned(cells: Sequence[Values]) -> NDArray[np.float64]:
    """The values as (seeds, cells), NaN where a cell wasn't trained with a seed."""
    seeds = sorted(set().union(*cells))
    return np.array([[cell.get(seed, math.nan) for cell in cells] for seed in seeds], dtype=float)


def difference_of(treated: Values, baseline: Values, step: float = 0.0) -> Estimate:
    """Treated minus baseline, over all seeds of both; `step` as in `estimate`. Raises ValueError where one has none."""
    return contrast((1, -1), aligned([treated, baseline]), step)


def contrast(
    weights: Sequence[float] | NDArray[np.float64], values: NDArray[np.float64], step: float = 0.0
) -> Estimate:
    """The weighted sum of cells' means, of each over all its seeds: (1, -1) for one minus the other. `values` are
    (seeds, cells), NaN where there is none; `step` as in `estimate`.

    `sd` is that of one seed in all cells, `minimum` and `maximum` are over such seeds, `n` counts the seeds of the cell
    with the fewest. Raises ValueError for a cell without values.
    """
    known, factors = ~np.isnan(values), np.asarray(weights, dtype=float)
    counts = known.sum(axis=0)
    if not counts.size or not counts.all():
        raise ValueError("a cell without values has no mean")
    mean = float(np.nansum(values, axis=0) @ (factors / counts))
    shared = values[known.all(axis=1)] @ factors
    n = int(counts.min())
    sd = float(shared.std(ddof=1)) if shared.size > 1 else _sd_of_parts(factors, values)
    error, freedom = _error(factors / counts, values, known)
    floor = step / math.sqrt(n)
    if n > 1 and not error > floor:
        error, freedom = (floor, n - 1.0) if floor > 0 else (math.nan, math.nan)
    ends = shared if shared.size else np.array([mean])
    return with_interval(mean, sd if sd > step else step, error, freedom, n, ends)


def _sd_of_parts(weights: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """As if cells varied independently: no seed tells how they do together."""
    with np.errstate(invalid="ignore", divide="ignore"):
        deviations = values - np.nanmean(values, axis=0)
        variances = np.nansum(deviations**2, axis=0) / ((~np.isnan(values)).sum(axis=0) - 1)
    return float(np.sqrt((weights**2 * variances).sum()))


def _error(shares: NDArray[np.float64], values: NDArray[np.float64], known: NDArray[np.bool_]) -> tuple[float, float]:
    """The standard error and its degrees of freedom; NaN where a spread can't be told."""
    patterns, group = known[:1], np.zeros(len(known), dtype=np.int64)
    if not known.all():
        patterns, group = np.unique(known, axis=0, return_inverse=True)
    parts, expected, freedoms = [], [], []
    for number, pattern in enumerate(patterns):
        own = np.flatnonzero(group.reshape(-1) == number)
        # What a single seed varies by is told by others that are in these cells, and in more.
        telling = own if own.size > 1 else np.flatnonzero(known[:, pattern].all(axis=1))
        if telling.size < 2:
            return math.nan, math.nan
        parts.append(own.size * float((values[np.ix_(telling, pattern)] @ shares[pattern]).var(ddof=1)))
        expected.append(own.size * float((shares[pattern] ** 2).sum()))
        freedoms.append(telling.size - 1)
    if not any(parts):
        return 0.0, math.nan
    return math.sqrt(sum(parts)), min(_freedom(parts, freedoms), _freedom(expected, freedoms))


def _freedom(variances: Sequence[float], freedoms: Sequence[int]) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances."""
    return sum(variances) ** 2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
