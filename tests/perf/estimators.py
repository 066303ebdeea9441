"""Which estimate of a difference holds what it promises: `python -m tests.perf.estimators`.

Prints, for pairs of cells with equal and unequal numbers of seeds, how often the 95 % interval covers, how often a true
difference of 1.5 standard deviations is found, and how often p falls below 0.05/16 without a difference, as a multiple
of 0.05/16. It judges nothing; `bench/report/stats/contrast.py` has the one that was chosen, and says why.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from tabulate import tabulate

from bench.report.stats.contrast import contrast

Array = NDArray[np.float64]
# Difference, standard error, degrees of freedom.
Tested = tuple[float, float, float]

_EFFECT, _TAIL = 1.5, 0.05 / 16


def chosen(treated: Array, baseline: Array) -> Tested:
    """The harness's own."""
    values = np.full((max(len(treated), len(baseline)), 2), math.nan)
    values[: len(treated), 0], values[: len(baseline), 1] = treated, baseline
    own = contrast((1, -1), values)
    return own.mean, own.error, own.freedom


def paired(treated: Array, baseline: Array) -> Tested:
    """Student's on the shared seeds."""
    shared = min(len(treated), len(baseline))
    differences = treated[:shared] - baseline[:shared]
    return float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(shared), shared - 1


def welch(treated: Array, baseline: Array) -> Tested:
    """Welch's on all rows, as if no seed were shared."""
    parts = [arm.var(ddof=1) / len(arm) for arm in (treated, baseline)]
    freedom = sum(parts) ** 2 / sum(p**2 / (len(arm) - 1) for p, arm in zip(parts, (treated, baseline), strict=True))
    return float(treated.mean() - baseline.mean()), math.sqrt(sum(parts)), freedom


def overlapping(treated: Array, baseline: Array) -> Tested:
    """Partially overlapping samples, unequal variances (Derrick, Russ, Toher and White 2017)."""
    shared, ours, theirs = min(len(treated), len(baseline)), len(treated), len(baseline)
    correlation = np.corrcoef(treated[:shared], baseline[:shared])[0, 1]
    mean, welchs_error, welchs = welch(treated, baseline)
    common = 2 * correlation * treated.std(ddof=1) * baseline.std(ddof=1) * shared / (ours * theirs)
    apart = ours + theirs - 2 * shared
    freedom = (shared - 1) + (welchs - shared + 1) / (apart + 2 * shared) * apart
    return mean, math.sqrt(max(welchs_error**2 - common, 1e-12)), freedom


CANDIDATES: dict[str, Callable[[Array, Array], Tested]] = {
    "chosen": chosen,
    "shared pairs": paired,
    "Welch": welch,
    "overlapping": overlapping,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2_000)
    draws = parser.parse_args().draws
    lines = []
    for treated, baseline in ((5, 5), (5, 20), (20, 20)):
        for spread in (1.0, 2.0):
            for correlation in (-0.8, 0.0, 0.25, 0.6, 0.95):
                line = [f"{treated}/{baseline}", spread, correlation]
                lines.append([*line, *_measured(treated, baseline, spread, correlation, draws)])
    headers = ["seeds", "sd ratio", "correlation", *CANDIDATES]
    print("95 % coverage, power, false findings at p < 0.05/16 as a multiple of it")
    print(tabulate(lines, headers=headers))


def _measured(treated: int, baseline: int, spread: float, correlation: float, draws: int) -> list[str]:
    generator = np.random.default_rng(0)
    covariance = [[spread**2, correlation * spread], [correlation * spread, 1]]
    values = generator.multivariate_normal([0, 0], covariance, size=(draws, max(treated, baseline)))
    cells = []
    for test in CANDIDATES.values():
        tested = np.array([test(draw[:treated, 0], draw[:baseline, 1]) for draw in values])
        mean, error, freedom = tested.T
        reach = stats.t.ppf(0.975, freedom) * error
        covers, finds = np.mean(np.abs(mean) <= reach), np.mean(np.abs(mean + _EFFECT) > reach)
        false = np.mean(np.abs(mean) > stats.t.ppf(1 - _TAIL / 2, freedom) * error) / _TAIL
        cells.append(f"{covers:.3f} {finds:.2f} {false:.1f}")
    return cells


if __name__ == "__main__":
    main()
