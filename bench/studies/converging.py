"""The claim that a technique makes models converge faster, tested so that one slow start decides nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.report.report import Report
from bench.report.sections.claims.testing import Finding, Status, not_switched, switched
from bench.report.sections.progress.curves import learning_curves
from bench.report.show.words import few, p_value, plural
from bench.report.stats.estimate import CONFIDENCE, ratio


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Test losses after the first epoch on one model, in nats, with the technique and without, seed by seed."""

    model: str
    treated: NDArray[np.float64]
    baseline: NDArray[np.float64]

    @property
    def faster(self) -> int:
        """How many pairs have the lower loss with the technique."""
        return int(np.count_nonzero(self.treated < self.baseline))

    @property
    def slower(self) -> int:
        """How many have the higher one."""
        return int(np.count_nonzero(self.treated > self.baseline))


def converges_faster(factor: str) -> Callable[[Report], Finding]:
    """Test loss after the first epoch, paired by seed, decided by the exact sign test over the pairs of all models.

    A network that is still at chance after an epoch is 80 points behind one that isn't: a mean of accuracies is that
    network's, and its interval, blown up by it, hides what every other pair says. So what counts is in how many pairs
    the loss is lower with the technique. A signed-rank test would find more where differences are symmetric, which
    slow starts see to that they aren't, and no test of ranks finds anything in the five pairs of one model, whose
    smallest p is 0.06; hence all models' pairs together. Pairs with one seed on several models share its order of
    images; their signs are taken for independent. By how much is told as the geometric mean of the ratio of the losses.

    Supported where the test finds it (two-sided, 5 %) and most pairs say so on each model. Contradicted where it finds
    the reverse, over all pairs or, adjusted for the number of models, on one of them. Unsettled otherwise.
    """
    return lambda report: _converges_faster(report, factor)


def _converges_faster(report: Report, factor: str) -> Finding:
    models = list(_pairs(report, factor))
    if not models:
        return not_switched(factor)
    faster, slower = sum(model.faster for model in models), sum(model.slower for model in models)
    p = _sign_test(faster, slower)
    evidence = (
        f"Test loss after the first epoch is lower with it in {faster} of {plural(sum(map(_count, models)), 'pair')} "
        f"(sign test, p {p_value(p) if p < 0.0001 else f'= {p_value(p)}'}): {few([_told(model) for model in models])}."
    )
    alpha = 1 - CONFIDENCE
    reversed_on_one = any(
        model.slower > model.faster and _sign_test(model.faster, model.slower) * len(models) < alpha for model in models
    )
    if reversed_on_one or (p < alpha and slower > faster):
        return Finding(Status.CONTRADICTED, evidence)
    if p < alpha and all(2 * model.faster > _count(model) for model in models):
        return Finding(Status.SUPPORTED, evidence)
    return Finding(Status.UNSETTLED, f"{evidence} These pairs don't settle it.")


def _pairs(report: Report, factor: str) -> Iterator[_Pairs]:
    curves = {curve.cell: curve for curve in learning_curves(report)}
    for effect in switched(report, factor):
        if effect.treated in curves and effect.baseline in curves:
            treated, baseline = (curves[cell].losses.iloc[0].dropna() for cell in (effect.treated, effect.baseline))
            seeds = treated.index.intersection(baseline.index)
            if len(seeds):
                yield _Pairs(effect.architecture, treated[seeds].to_numpy(), baseline[seeds].to_numpy())


def _sign_test(faster: int, slower: int) -> float:
    """The exact two-sided p of as many pairs being faster as slower; pairs that are the same say nothing."""
    return float(stats.binomtest(faster, faster + slower).pvalue) if faster + slower else 1.0


def _told(pairs: _Pairs) -> str:
    """`tiny 0.48 times the loss without (0.31 to 0.73; 5 of 5)`."""
    told = f"{pairs.faster} of {_count(pairs)}"
    if not (pairs.treated.all() and pairs.baseline.all()):  # of nothing there is no ratio
        return f"{pairs.model} {told}"
    size = ratio(pairs.treated, pairs.baseline)
    interval = f"{size.low:.2f} to {size.high:.2f}; " if size.has_interval else ""
    return f"{pairs.model} {size.mean:.2f} times the loss without ({interval}{told})"


def _count(pairs: _Pairs) -> int:
    return len(pairs.treated)
