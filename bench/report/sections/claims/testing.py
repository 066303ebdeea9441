"""What was claimed of a study's models, each claim held against the rows.

A claim is supported, contradicted, unsettled (it was tested, and these rows don't decide it) or not testable from such
rows, and always says why. It is tested on the data set that it was made about.

Most claims name a technique and no model. They are read as they are meant, of what the technique does in general, not
as if they said "on every model whatever"; what that makes of models that differ depends on the claim, and each test
says it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.levels import Level
from bench.report.report import Report
from bench.report.sections.cells.results import CellResult, cell_results, preset_results
from bench.report.sections.effects.measured import Effect, effects
from bench.report.show.words import few, percent, percent_interval, plural, points, points_interval, sentence
from bench.report.stats.estimate import Estimate
from bench.report.stats.published import hold_against, one_more_pair
from bench.report.stats.status import Status
from bench.report.stats.verdict import Verdict

__all__ = [
    "Claim",
    "Finding",
    "Status",
    "effect_of_size",
    "helps",
    "judge_claims",
    "not_switched",
    "reaches",
    "saves_parameters_and_keeps_accuracy",
    "switched",
    "with_interval",
]

# So many models are told of as evidence.
_MOST_MODELS = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """A status and the evidence for it, in a sentence or two."""

    status: Status
    evidence: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed, how rows answer it, and the data set that it was claimed about, None for any."""

    text: str
    test: Callable[[Report], Finding]
    dataset: str | None = None


def judge_claims(report: Report) -> Iterator[tuple[Claim, Finding]]:
    """Every claim of the study that is about this data set, with its finding."""
    claims = catalogue().claims
    for claim in claims() if callable(claims) else claims:
        if claim.dataset in (None, report.evidence.dataset):
            yield claim, claim.test(report)


def switched(report: Report, factor: str, level: Level | None = None) -> list[Effect]:
    """What a factor does, at each of its levels or the one given, against its absence."""
    of_factor = [
        e for e in effects(report) if e.factor.name == factor and e.without == e.factor.off and not e.same_rate
    ]
    return [effect for effect in of_factor if level is None or effect.level == level]


def not_switched(factor: str) -> Finding:
    """What is said of a factor that no model was trained with and without."""
    return Finding(Status.NOT_TESTABLE, f"No model was trained with {factor} switched.")


def effect_of_size(factor: str, model: str, size: float, note: str = "") -> Callable[[Report], Finding]:
    """An improvement by `size`, a fraction, that was published as the difference between two runs.

    Supported where the effect is surely an improvement, its interval above 0, and the size lies within what one more
    run with the technique and one without differ by, in 95 of 100 cases. Contradicted where the size lies outside of
    that, above or below, or the effect is surely none. `note` stands with every finding.
    """
    noted, note_after = (f"{note} ", f" {note}") if note else ("", "")

    def test(report: Report) -> Finding:
        found = [effect for effect in switched(report, factor) if effect.architecture == model]
        if not found:
            return Finding(Status.NOT_TESTABLE, f"{noted}{model} was not trained with {factor} switched.")
        measured, difference = sentence(_measured(found[0])), found[0].comparison.difference
        accuracy = {result.cell: result.accuracy for result in cell_results(report)}
        low, high = one_more_pair(difference, accuracy[found[0].treated], accuracy[found[0].baseline])
        if not low <= high:
            return Finding(Status.UNSETTLED, f"{measured}: too few seeds for an interval.{note_after}")
        pair = f"{measured}; one more pair of runs would differ by {points_interval(low, high)}"
        if not low <= size <= high:
            return Finding(Status.CONTRADICTED, f"{pair}, which leaves {points(size)} out.{note_after}")
        if difference.high <= 0 or found[0].verdict in (Verdict.HURTS, Verdict.EQUIVALENT):
            return Finding(
                Status.CONTRADICTED, f"{pair}: {points(size)} may be such a pair's, and is no effect.{note_after}"
            )
        if difference.low > 0:
            return Finding(Status.SUPPORTED, f"{pair}, {points(size)} among them.{note_after}")
        return Finding(Status.UNSETTLED, f"{pair}: that leaves both none and {points(size)} open.{note_after}")

    return test


def helps(factor: str, level: Level | None = None) -> Callable[[Report], Finding]:
    """A technique is said to help, at one level or at all.

    Supported where it helps more than half of the models that it was switched on and surely makes no difference to the
    others: a claim of what a technique does in general isn't refuted by a model that it does nothing for, and the
    evidence names that model. Contradicted where it hurts a single one, for then whoever relies on the claim can lose
    by it, or where it surely makes no difference to half of them or more. Unsettled otherwise.
    """

    def test(report: Report) -> Finding:
        found = switched(report, factor, level)
        if not found:
            return not_switched(factor)
        evidence = f"{sentence(_each(found))}."
        helped, hurt, same = (
            sum(effect.verdict == verdict for effect in found)
            for verdict in (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT)
        )
        if hurt or 2 * same >= len(found):
            return Finding(Status.CONTRADICTED, f"Not on every model: {evidence}" if helped else evidence)
        if helped + same == len(found):
            return Finding(Status.SUPPORTED, f"On {helped} of {len(found)} models: {evidence}" if same else evidence)
        return Finding(Status.UNSETTLED, f"{evidence} These seeds don't settle it.")

    return test


def saves_parameters_and_keeps_accuracy(factor: str) -> Callable[[Report], Finding]:
    """A technique is said to cost nothing, which is a promise: one model that it breaks it on contradicts it.

    Supported where every model gets smaller and none surely loses as much as the margin, the interval of each effect
    above minus the margin: whether it gains needn't be settled. Contradicted where it hurts a model, or saves nothing
    on one.
    """

    def test(report: Report) -> Finding:
        found = switched(report, factor)
        if not found:
            return not_switched(factor)
        saved = few([f"{effect.architecture} {-effect.cost.parameters:,}" for effect in found])
        evidence = f"Parameters saved: {saved}. {sentence(_each(found))}."
        harmed = [effect for effect in found if effect.verdict == Verdict.HURTS]
        if harmed or any(effect.cost.parameters >= 0 for effect in found):
            return Finding(Status.CONTRADICTED, evidence)
        if all(_keeps(effect, report.margin) for effect in found):
            return Finding(Status.SUPPORTED, evidence)
        return Finding(Status.UNSETTLED, f"{evidence} These seeds don't rule out a loss of the margin or more.")

    return test


def reaches(model: str) -> Callable[[Report], Finding]:
    """Whether the published run could be one of the model's at its preset, by the rule of `hold_against`."""

    def test(report: Report) -> Finding:
        published = find_architecture(model).published_on(report.evidence.dataset)
        results = [result for result in preset_results(report) if result.cell.architecture == model]
        if not results or published is None:
            return Finding(Status.NOT_TESTABLE, f"{model} was not trained at its preset.")
        return _reaches(results[0], published.test_accuracy)

    return test


def _reaches(result: CellResult, target: float) -> Finding:
    held = hold_against(result.accuracies.to_numpy(dtype=float), target)
    accuracy, n = result.accuracy, plural(held.n, "seed")
    reached = f"{held.reached} of {n} reached it"
    if not held.low <= held.high:
        return Finding(
            held.status, f"Measured {percent(accuracy.mean)}; {reached}: too few to say where one more would."
        )
    return Finding(
        held.status,
        f"Measured {percent(accuracy.mean)} ({percent_interval(accuracy.low, accuracy.high)}, {n}); one more run would "
        f"lie within {percent_interval(held.low, held.high)}; {reached}.",
    )


def _keeps(effect: Effect, margin: float) -> bool:
    difference = effect.comparison.difference
    return effect.verdict in (Verdict.HELPS, Verdict.EQUIVALENT) or difference.low >= -margin


def _each(effects: Collection[Effect]) -> str:
    more = len(effects) - _MOST_MODELS
    said = [_measured(effect) for effect in list(effects)[:_MOST_MODELS]]
    return "; ".join([*said, *([f"and on {more:,} more"] if more > 0 else [])])


def _measured(effect: Effect) -> str:
    return (
        f"{effect.technique} on {effect.architecture} {with_interval(effect.comparison.difference)}: {effect.verdict}"
    )


def with_interval(difference: Estimate) -> str:
    """`+0.14 points (-0.19 to +0.47, 5 seeds)`."""
    interval = points_interval(difference.low, difference.high)
    n = plural(difference.n, "seed")
    return f"{points(difference.mean)} points ({f'{interval}, ' if interval else ''}{n})"
