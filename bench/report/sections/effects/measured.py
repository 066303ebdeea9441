"""What a technique does to a model: the cell with it against the cell without."""

from dataclasses import dataclass

from bench.plan.cells import Cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.report import Report, once
from bench.report.sections.cells.cost import CostDifference, costs
from bench.report.sections.effects.looks import (
    allowing_for_looks,
    answerable,
    arms_of,
    finds,
    judge_after_looks,
    needs,
)
from bench.report.sections.effects.questions import Question
from bench.report.stats.paired import Comparison, SeedsNeeded, compare
from bench.report.stats.verdict import SETTLED, Judgement, Verdict, judge_family


def switched(factor: Factor, level: Level, without: Level) -> str:
    """What is switched on by a level in place of another: `batch norm`, or `advanced augmentation instead of basic
    augmentation`."""
    name = factor.in_words(level)
    return name if without == factor.off and factor.off_is_absence else f"{name} instead of {factor.in_words(without)}"


@dataclass(frozen=True)
class Effect:
    """A technique on one model: the cell with it minus the cell without, over all seeds of both.

    `level` is the technique's level and `without` what it replaces; one of the two cells is the model's preset. `rates`
    are the learning rates of the two; where they differ the effect is that of the technique with its rate, and there
    may be another one, at the `same_rate`, of the technique alone. `judgement` holds for the family of all effects of
    the report. `smallest_found` is the difference that these seeds find four times in five, `seeds_needed` the seeds in
    each arm that would find one of the margin's size; both None without a spread.
    """

    architecture: str
    factor: Factor
    level: Level
    without: Level
    treated: Cell
    baseline: Cell
    rates: tuple[float, float]
    same_rate: bool
    comparison: Comparison
    judgement: Judgement
    smallest_found: float | None
    seeds_needed: SeedsNeeded | None
    cost: CostDifference

    @property
    def verdict(self) -> Verdict:
        """What the rows say, for the whole family."""
        return self.judgement.verdict

    @property
    def technique(self) -> str:
        """What was switched on."""
        return switched(self.factor, self.level, self.without)

    @property
    def technique_at_rates(self) -> str:
        """`batch norm (at its rate 0.03, against 0.01)`."""
        return f"{self.technique} ({self.at_rates})" if self.at_rates else self.technique

    @property
    def at_rates(self) -> str:
        """Which learning rates are compared, where a technique comes with its own: `at its rate 0.03, against 0.01`, or
        `at the same rate 0.01`; else empty."""
        treated, baseline = self.rates
        if self.same_rate:
            return f"at the same rate {treated:g}"
        return f"at its rate {treated:g}, against {baseline:g}" if treated != baseline else ""


def sureness(effect: Effect) -> tuple[bool, float]:
    """Greater for what is settled, then for what is surer: where not all effects can be shown, the greatest are.

    By size those would come first that chance made largest.
    """
    judgement = effect.judgement
    return effect.verdict in SETTLED, -min(judgement.p, judgement.p_beyond)


@once
def effects(report: Report) -> tuple[Effect, ...]:
    """Every toggle of every architecture, one family."""
    evidence = report.evidence
    asked = answerable(evidence)
    compared = [compare(*arms_of(evidence, question), evidence.step) for question in asked]
    if evidence.looks:
        compared = [allowing_for_looks(comparison) for comparison in compared]
        judgements = judge_after_looks(evidence, asked, report.margin)
    else:
        judgements = judge_family([comparison.difference for comparison in compared], report.margin)
    found = zip(asked, compared, judgements, strict=True)
    return tuple(_effect(report, *answered, len(asked)) for answered in found)


def _effect(report: Report, question: Question, comparison: Comparison, judgement: Judgement, family: int) -> Effect:
    difference, factor = comparison.difference, question.factor
    return Effect(
        architecture=question.treated.architecture,
        factor=factor,
        level=level_of(question.treated.levels, factor),
        without=level_of(question.baseline.levels, factor),
        treated=question.treated,
        baseline=question.baseline,
        rates=question.rates,
        same_rate=question.same_rate,
        comparison=comparison,
        judgement=judgement,
        smallest_found=finds(difference, family),
        seeds_needed=needs(report.margin, difference, family),
        cost=costs(report).difference(question.treated, question.baseline),
    )
