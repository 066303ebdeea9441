"""What was claimed of a study's models, each claim held against the rows.

A claim is supported, contradicted, or not testable from the rows, and always says why. It is tested on
the data set that it was made about.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from bench.plan.catalogue import catalogue, find_architecture
from bench.report.analysis import Analysis, CellResult, Effect
from bench.report.stats.estimate import Estimate
from bench.report.stats.paired import compare
from bench.report.stats.verdict import Verdict
from bench.report.words import few, percent, percent_interval, plural, points, points_interval, sentence

# So many models are told of as evidence.
_MOST_MODELS = 6


class Status(StrEnum):
    """What the rows say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True, slots=True)
class Finding:
    """A status and the evidence for it, in a sentence or two."""

    status: Status
    evidence: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed, how rows answer it, and the data set that it was claimed about, None for any."""

    text: str
    test: Callable[[Analysis], Finding]
    dataset: str | None = None


def judge_claims(analysis: Analysis) -> Iterator[tuple[Claim, Finding]]:
    """Every claim of the study that is about this data set, with its finding."""
    claims = catalogue().claims
    for claim in claims() if callable(claims) else claims:
        if claim.dataset in (None, analysis.evidence.dataset):
            yield claim, claim.test(analysis)


def effect_of_size(factor: str, model: str, size: float, note: str = "") -> Callable[[Analysis], Finding]:
    """Supported when the interval leaves 0 out and contains the claimed size (a fraction); contradicted when it leaves
    that out. `note` stands with every finding."""

    noted, note_after = (f"{note} ", f" {note}") if note else ("", "")

    def test(analysis: Analysis) -> Finding:
        found = [effect for effect in _effects(analysis, factor) if effect.architecture == model]
        if not found:
            return Finding(Status.NOT_TESTABLE, f"{noted}{model} was not trained with {factor} switched.")
        measured = sentence(_measured(found[0]))
        difference = found[0].comparison.difference
        if not difference.has_interval:
            return Finding(Status.NOT_TESTABLE, f"{measured}: too few seeds for an interval.{note_after}")
        if difference.low <= size <= difference.high:
            if difference.low > 0:
                return Finding(Status.SUPPORTED, f"{measured}.{note_after}")
            return Finding(
                Status.NOT_TESTABLE,
                f"{measured}: that leaves both none and {points(size)} open.{note_after}",
            )
        return Finding(Status.CONTRADICTED, f"{measured}, which leaves {points(size)} out.{note_after}")

    return test


def helps(factor: str) -> Callable[[Analysis], Finding]:
    """Supported when the factor helps every model it was switched on, contradicted when it helps none and hurts or
    makes no difference to one."""

    def test(analysis: Analysis) -> Finding:
        found = _effects(analysis, factor)
        if not found:
            return Finding(Status.NOT_TESTABLE, f"No model was trained with {factor} switched.")
        return _from_verdicts(found, supporting={Verdict.HELPS}, opposing={Verdict.HURTS, Verdict.EQUIVALENT})

    return test


def converges_faster(factor: str) -> Callable[[Analysis], Finding]:
    """Test accuracy after the first epoch, paired by seed."""

    def test(analysis: Analysis) -> Finding:
        curves = {curve.cell: curve for curve in analysis.curves}
        differences = []
        for effect in _effects(analysis, factor):
            if effect.treated in curves and effect.baseline in curves:
                first = curves[effect.treated].seeds.iloc[0]
                other = curves[effect.baseline].seeds.iloc[0]
                comparison = compare(_by_seed(first), _by_seed(other))
                differences.append((effect.architecture, comparison.difference))
        if not differences:
            return Finding(Status.NOT_TESTABLE, f"No model was trained with {factor} switched.")
        texts = [f"{model} {_with_interval(difference)}" for model, difference in differences]
        evidence = f"Test accuracy after the first epoch, with minus without: {few(texts)}."
        if all(difference.low > 0 for _, difference in differences):
            return Finding(Status.SUPPORTED, evidence)
        if any(difference.high < 0 for _, difference in differences):
            return Finding(Status.CONTRADICTED, evidence)
        return Finding(Status.NOT_TESTABLE, f"{evidence} Not every interval leaves 0 out.")

    return test


def _by_seed(accuracies: "pd.Series[float]") -> dict[int, float]:
    return dict(zip(map(int, accuracies.index), accuracies.tolist(), strict=True))


def prevents_overfitting(factor: str) -> Callable[[Analysis], Finding]:
    """There is something to prevent only where training accuracy without the technique is above test accuracy."""
    return lambda analysis: _prevents_overfitting(analysis, factor)


def _prevents_overfitting(analysis: Analysis, factor: str) -> Finding:
    found = _effects(analysis, factor)
    if not found:
        return Finding(Status.NOT_TESTABLE, f"No model was trained with {factor} switched.")
    results = {result.cell: result for result in analysis.cells}
    overfitting = [effect for effect in found if _overfits(results[effect.baseline])]
    if overfitting:
        return _from_verdicts(overfitting, supporting={Verdict.HELPS}, opposing={Verdict.HURTS, Verdict.EQUIVALENT})
    gaps = [
        f"{effect.architecture} {percent(results[effect.baseline].train_accuracy)} in training, "
        f"{percent(results[effect.baseline].accuracy.mean)} on test images"
        for effect in found
    ]
    harm = [effect for effect in found if effect.verdict == Verdict.HURTS]
    cost = f" What {factor} does instead: {_each(harm)}." if harm else ""
    return Finding(Status.NOT_TESTABLE, f"Without {factor} there is no overfitting to prevent: {few(gaps)}.{cost}")


def saves_parameters_and_keeps_accuracy(factor: str) -> Callable[[Analysis], Finding]:
    """Supported where every model gets smaller and none worse."""
    return lambda analysis: _saves_parameters_and_keeps_accuracy(analysis, factor)


def _saves_parameters_and_keeps_accuracy(analysis: Analysis, factor: str) -> Finding:
    found = _effects(analysis, factor)
    if not found:
        return Finding(Status.NOT_TESTABLE, f"No model was trained with {factor} switched.")
    finding = _from_verdicts(found, supporting={Verdict.HELPS, Verdict.EQUIVALENT}, opposing={Verdict.HURTS})
    saved = few([f"{effect.architecture} {-effect.cost.parameters:,}" for effect in found])
    saves = all(effect.cost.parameters < 0 for effect in found)
    return Finding(finding.status if saves else Status.CONTRADICTED, f"Parameters saved: {saved}. {finding.evidence}")


def reaches(model: str) -> Callable[[Analysis], Finding]:
    """Whether the mean over seeds is compatible with the published single run."""

    def test(analysis: Analysis) -> Finding:
        published = find_architecture(model).published
        results = [result for result in analysis.presets if result.cell.architecture == model]
        if not results or published is None:
            return Finding(Status.NOT_TESTABLE, f"{model} was not trained at its preset.")
        accuracy, target = results[0].accuracy, published.test_accuracy
        n = plural(accuracy.n, "seed")
        if not accuracy.has_interval:
            return Finding(Status.NOT_TESTABLE, f"Measured {percent(accuracy.mean)}, {n}: too few for an interval.")
        evidence = f"Measured {percent(accuracy.mean)} ({percent_interval(accuracy.low, accuracy.high)}, {n})."
        if accuracy.high < target:
            return Finding(Status.CONTRADICTED, evidence)
        return Finding(Status.SUPPORTED, evidence)

    return test


def _effects(analysis: Analysis, factor: str) -> list[Effect]:
    return [e for e in analysis.effects if e.factor.name == factor and e.without == e.factor.off]


def _from_verdicts(found: list[Effect], supporting: set[Verdict], opposing: set[Verdict]) -> Finding:
    evidence = f"{sentence(_each(found))}."
    verdicts = {effect.verdict for effect in found}
    if verdicts <= supporting:
        return Finding(Status.SUPPORTED, evidence)
    if verdicts & opposing and not verdicts & supporting:
        return Finding(Status.CONTRADICTED, evidence)
    if verdicts & opposing:
        return Finding(Status.CONTRADICTED, f"Not on every model: {evidence}")
    return Finding(Status.NOT_TESTABLE, f"{evidence} These seeds don't settle it.")


def _each(effects: list[Effect]) -> str:
    more = len(effects) - _MOST_MODELS
    said = [_measured(effect) for effect in effects[:_MOST_MODELS]]
    return "; ".join([*said, *([f"and on {more:,} more"] if more > 0 else [])])


def _measured(effect: Effect) -> str:
    difference = effect.comparison.difference
    return f"{effect.technique} on {effect.architecture} {_with_interval(difference)}: {effect.verdict}"


def _with_interval(difference: Estimate) -> str:
    interval = points_interval(difference.low, difference.high)
    n = plural(difference.n, "seed")
    return f"{points(difference.mean)} points ({f'{interval}, ' if interval else ''}{n})"


def _overfits(result: CellResult) -> bool:
    return not math.isnan(result.train_accuracy) and result.train_accuracy > result.accuracy.mean
