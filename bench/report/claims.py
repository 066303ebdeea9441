"""What was claimed with the published models, each claim held against the rows.

A claim is supported, contradicted, or not testable from the rows, and always says why. It is tested where it was made:
on the data set that the models were published on.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.plan.augmentation import AUGMENTATIONS
from bench.report.analysis import Analysis, CellResult, Effect
from bench.report.stats.estimate import Estimate
from bench.report.stats.paired import compare
from bench.report.stats.verdict import Verdict
from bench.report.words import few, percent, percent_interval, plural, points, points_interval, sentence

PUBLISHED_ON = "mnist"

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
    """What was claimed, and how rows answer it."""

    text: str
    test: Callable[[Analysis], Finding]


def judge_claims(analysis: Analysis) -> Iterator[tuple[Claim, Finding]]:
    """Every claim with its finding; none on a data set that nothing was claimed about."""
    if analysis.evidence.dataset == PUBLISHED_ON:
        for claim in CLAIMS:
            yield claim, claim.test(analysis)


def _effect_of_size(factor: str, model: str, size: float) -> Callable[[Analysis], Finding]:
    """Supported when the interval leaves 0 out and contains the claimed size; contradicted when it leaves that out."""

    def test(analysis: Analysis) -> Finding:
        found = [effect for effect in _effects(analysis, factor) if effect.architecture == model]
        confounded = (
            "The published comparison changes batch norm, global average pooling, dropout and a layer's width at "
            "once, so its 0.29 points are no single technique's."
        )
        if not found:
            return Finding(Status.NOT_TESTABLE, f"{confounded} {model} was not trained with {factor} switched.")
        measured = sentence(_measured(found[0]))
        difference = found[0].comparison.difference
        if not difference.has_interval:
            return Finding(Status.NOT_TESTABLE, f"{measured}: too few seeds for an interval. {confounded}")
        if difference.low <= size <= difference.high:
            if difference.low > 0:
                return Finding(Status.SUPPORTED, f"{measured}. {confounded}")
            return Finding(
                Status.NOT_TESTABLE,
                f"{measured}: that leaves both none and {points(size)} open. {confounded}",
            )
        return Finding(Status.CONTRADICTED, f"{measured}, which leaves {points(size)} out. {confounded}")

    return test


def _helps(factor: str) -> Callable[[Analysis], Finding]:
    """Supported when the factor helps every model it was switched on, contradicted when it helps none and hurts or "
    "makes no
    difference to one."""

    def test(analysis: Analysis) -> Finding:
        found = _effects(analysis, factor)
        if not found:
            return Finding(Status.NOT_TESTABLE, f"No model was trained with {factor} switched.")
        return _from_verdicts(found, supporting={Verdict.HELPS}, opposing={Verdict.HURTS, Verdict.EQUIVALENT})

    return test


def _converges_faster(factor: str) -> Callable[[Analysis], Finding]:
    """Test accuracy after the first epoch, paired by seed."""

    def test(analysis: Analysis) -> Finding:
        curves = {curve.cell: curve for curve in analysis.curves}
        differences = []
        for effect in _effects(analysis, factor):
            if effect.treated in curves and effect.baseline in curves:
                first = curves[effect.treated].seeds.iloc[0]
                other = curves[effect.baseline].seeds.iloc[0]
                seeds = first.index.intersection(other.index)
                comparison = compare(first[seeds].to_numpy(dtype=float), other[seeds].to_numpy(dtype=float))
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


def _prevents_overfitting(analysis: Analysis) -> Finding:
    """There is something to prevent only where training accuracy without dropout is above test accuracy."""
    found = _effects(analysis, "dropout")
    if not found:
        return Finding(Status.NOT_TESTABLE, "No model was trained with dropout switched.")
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
    cost = f" What dropout does instead: {_each(harm)}." if harm else ""
    return Finding(Status.NOT_TESTABLE, f"Without dropout there is no overfitting to prevent: {few(gaps)}.{cost}")


def _reduces_parameters_and_keeps_accuracy(analysis: Analysis) -> Finding:
    found = _effects(analysis, "gap")
    if not found:
        return Finding(Status.NOT_TESTABLE, "No model was trained with gap switched.")
    finding = _from_verdicts(found, supporting={Verdict.HELPS, Verdict.EQUIVALENT}, opposing={Verdict.HURTS})
    saved = few([f"{effect.architecture} {-effect.cost.parameters:,}" for effect in found])
    saves = all(effect.cost.parameters < 0 for effect in found)
    return Finding(finding.status if saves else Status.CONTRADICTED, f"Parameters saved: {saved}. {finding.evidence}")


def _rotation_is_essential(analysis: Analysis) -> Finding:
    """One cell without rotation that is above 98 % with its whole interval is enough to contradict."""
    without = [
        result
        for result in analysis.cells
        if AUGMENTATIONS[str(result.cell.levels["augmentation"])].rotation == 0 and result.accuracy.low > 0.98
    ]
    if not without:
        return Finding(
            Status.NOT_TESTABLE, "No cell that was trained without rotation has an interval wholly above 98 %."
        )
    best = max(without, key=lambda result: result.accuracy.low)
    accuracy = best.accuracy
    return Finding(
        Status.CONTRADICTED,
        f"{plural(len(without), 'cell')} without rotation lie above 98 % with their whole interval, as "
        f"{best.cell.label}: {percent(accuracy.mean)} ({percent_interval(accuracy.low, accuracy.high)}, "
        f"{plural(accuracy.n, 'seed')}).",
    )


def _step_drops(analysis: Analysis) -> Finding:
    """Whether the step schedule moved the rate at all."""
    curves = [curve for curve in analysis.curves if curve.cell.levels["scheduler"] == "step"]
    if not curves:
        return Finding(Status.NOT_TESTABLE, "No cell was trained with the step schedule.")
    epochs = max(len(curve.points) for curve in curves)
    if all(curve.points["lr"].nunique() == 1 for curve in curves):
        return Finding(
            Status.NOT_TESTABLE,
            f"StepLR(15) never drops within {epochs} epochs: in every trial the rate was constant from the first "
            f"epoch to the last, so these rows hold a constant rate and no step.",
        )
    return Finding(Status.NOT_TESTABLE, "The rate dropped, but no cell was trained without the drop.")


def _reaches(model: str) -> Callable[[Analysis], Finding]:
    """Whether the mean over seeds is compatible with the published single run."""

    def test(analysis: Analysis) -> Finding:
        from architectures.registry import ARCHITECTURES

        published = ARCHITECTURES[model].published
        results = [result for result in analysis.presets if result.cell.architecture == model]
        if not results or published is None:
            return Finding(Status.NOT_TESTABLE, f"{model} was not trained as published.")
        accuracy, target = results[0].accuracy, published.test_accuracy
        n = plural(accuracy.n, "seed")
        if not accuracy.has_interval:
            return Finding(Status.NOT_TESTABLE, f"Measured {percent(accuracy.mean)}, {n}: too few for an interval.")
        evidence = f"Measured {percent(accuracy.mean)} ({percent_interval(accuracy.low, accuracy.high)}, {n})."
        if accuracy.high < target:
            return Finding(Status.CONTRADICTED, evidence)
        return Finding(Status.SUPPORTED, evidence)

    return test


CLAIMS = (
    Claim("model1 reaches 98.89 %", _reaches("model1")),
    Claim("model2 reaches 99.18 %", _reaches("model2")),
    Claim("model3 reaches 99.46 %", _reaches("model3")),
    Claim("Batch norm improves accuracy by 0.29 points", _effect_of_size("batch_norm", "model1", 0.0029)),
    Claim("Batch norm converges faster", _converges_faster("batch_norm")),
    Claim("Dropout prevents overfitting", _prevents_overfitting),
    Claim(
        "Global average pooling reduces parameters and maintains performance", _reduces_parameters_and_keeps_accuracy
    ),
    Claim("Augmentation improves accuracy", _helps("augmentation")),
    Claim("Rotation is essential for more than 98 %", _rotation_is_essential),
    Claim("The one-cycle schedule generalises better", _helps("scheduler")),
    Claim("Stepping the rate down helps", _step_drops),
)


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
