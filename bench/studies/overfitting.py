"""The claim that a technique prevents overfitting: training images against test images, both undistorted."""

from collections.abc import Callable

import pandas as pd

from bench.plan.cells import Cell
from bench.report.report import Report
from bench.report.sections.claims.testing import Finding, Status, not_switched, switched, with_interval
from bench.report.sections.effects.measured import Effect
from bench.report.show.words import few, sentence
from bench.report.stats.estimate import estimate
from bench.report.stats.verdict import Verdict

_NOT_MEASURED = (
    "These rows have no accuracy on undistorted training images, which earlier versions didn't measure; that on "
    "distorted ones, of weights that still move, says nothing of overfitting."
)


def prevents_overfitting(factor: str) -> Callable[[Report], Finding]:
    """A gap between the accuracy on the undistorted training images and that on the test images, by the last epoch's
    network in evaluation mode, with the technique and without, paired by seed.

    On a model there is something to prevent where the gap without the technique has its interval above 0 and reaches
    beyond the margin. The claim is supported there where the technique surely narrows the gap, by the margin or more,
    and test accuracy surely doesn't lose as much as the margin; contradicted where it surely doesn't narrow it by the
    margin, or hurts test accuracy, for then it only fits worse.

    To prevent is a promise: one model that it is broken on contradicts the claim, and it is supported where it is kept
    on every model that has something to prevent. Where none has, it isn't testable.
    """
    return lambda report: _prevents_overfitting(report, factor)


def _prevents_overfitting(report: Report, factor: str) -> Finding:
    found = switched(report, factor)
    if not found:
        return not_switched(factor)
    findings = [finding for effect in found if (finding := _on_one_model(report, effect)) is not None]
    if not findings:
        return Finding(Status.NOT_TESTABLE, _NOT_MEASURED)
    statuses = {finding.status for finding in findings} - {Status.NOT_TESTABLE}
    evidence = f"{sentence(few([finding.evidence for finding in findings]))}."
    if not statuses:
        return Finding(Status.NOT_TESTABLE, f"Without {factor} there is no overfitting to prevent: {evidence}")
    if Status.CONTRADICTED in statuses:
        return Finding(Status.CONTRADICTED, evidence)
    return Finding(Status.SUPPORTED if statuses == {Status.SUPPORTED} else Status.UNSETTLED, evidence)


def _on_one_model(report: Report, effect: Effect) -> Finding | None:
    """None where no seed has been measured with the technique and without."""
    without, treated = _gaps(report, effect.baseline), _gaps(report, effect.treated)
    seeds = without.index.intersection(treated.index)
    if not len(seeds):
        return None
    gap, margin = estimate(without.to_numpy()), report.margin
    evidence = f"on {effect.architecture} training accuracy lies {with_interval(gap)} from test accuracy without"
    if gap.high <= margin:
        return Finding(Status.NOT_TESTABLE, evidence)
    change, accuracy = estimate((treated[seeds] - without[seeds]).to_numpy()), effect.comparison.difference
    evidence += (
        f", and with it the gap changes by {with_interval(change)} and test accuracy by {with_interval(accuracy)}"
    )
    overfits = gap.low > 0
    narrows, keeps = change.high < 0 and -change.mean >= margin, accuracy.low >= -margin
    if overfits and (change.low > -margin or effect.verdict == Verdict.HURTS):
        return Finding(Status.CONTRADICTED, evidence)
    return Finding(Status.SUPPORTED if overfits and narrows and keeps else Status.UNSETTLED, evidence)


def _gaps(report: Report, cell: Cell) -> "pd.Series[float]":
    """By seed, as fractions, of the trials that it was measured of."""
    rows = report.evidence.rows(cell)
    return (rows["train_accuracy_undistorted"].astype(float) - rows["test_accuracy"].astype(float)).dropna()
