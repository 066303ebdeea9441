"""What a technique does to a model: the cell with it against the cell without."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.sections.cells.cost import CostDifference, costs
from bench.report.stats.paired import Comparison, SeedsNeeded, compare, seeds_needed, smallest_effect_found
from bench.report.stats.verdict import SETTLED, Judgement, Verdict, judge_family


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
        """What was switched on: `batch norm`, or `advanced augmentation instead of basic augmentation`."""
        name = self.factor.in_words(self.level)
        return (
            name
            if self.without == self.factor.off and self.factor.off_is_absence
            else f"{name} instead of {self.factor.in_words(self.without)}"
        )

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
    pairs = list(_pairs(report.evidence))
    judgements = judge_family([pair.comparison.difference for pair in pairs], report.margin)
    return tuple(
        _effect(report, pair, judgement, len(pairs)) for pair, judgement in zip(pairs, judgements, strict=True)
    )


def toggled(cells: Sequence[Cell]) -> Iterator[tuple[Factor, Cell, Cell]]:
    """Every one of the cells that differs in one factor from its preset, which is among them: the factor, then the cell
    with the later of its levels and the one with the earlier."""
    known = set(cells)
    for cell in cells:
        preset = preset_cell(cell.architecture)
        if preset in known and len(changed := cell.differences(preset)) == 1:
            [factor] = changed
            baseline, treated = sorted((preset, cell), key=lambda c: factor.levels.index(level_of(c.levels, factor)))
            yield factor, treated, baseline


@dataclass(frozen=True)
class _Pair:
    """Two cells that differ in one factor, and maybe in their rates."""

    factor: Factor
    treated: Cell
    baseline: Cell
    comparison: Comparison
    rates: tuple[float, float]
    same_rate: bool = False


def _pairs(evidence: Evidence) -> Iterator[_Pair]:
    """Every cell that differs from its preset in one factor, and again at the preset's rate where it was trained at
    that as well."""
    for factor, treated, baseline in toggled(evidence.cells):
        rates = _rate(evidence, treated), _rate(evidence, baseline)
        comparison = compare(evidence.values(treated), evidence.values(baseline), evidence.step)
        yield _Pair(factor, treated, baseline, comparison, rates)
        own = _rate(evidence, preset_cell(treated.architecture))
        arms = [evidence.accuracies_at(arm, own) for arm in (treated, baseline)]
        if rates[0] != rates[1] and all(arms):
            at_one = compare(arms[0], arms[1], evidence.step)
            yield _Pair(factor, treated, baseline, at_one, (own, own), same_rate=True)


def _rate(evidence: Evidence, cell: Cell) -> float:
    """The learning rate that the cell's trials share."""
    return float(evidence.rows(cell)["lr"].iloc[-1])


def _effect(report: Report, pair: _Pair, judgement: Judgement, family: int) -> Effect:
    difference, margin = pair.comparison.difference, report.margin
    return Effect(
        architecture=pair.treated.architecture,
        factor=pair.factor,
        level=level_of(pair.treated.levels, pair.factor),
        without=level_of(pair.baseline.levels, pair.factor),
        treated=pair.treated,
        baseline=pair.baseline,
        rates=pair.rates,
        same_rate=pair.same_rate,
        comparison=pair.comparison,
        judgement=judgement,
        smallest_found=smallest_effect_found(difference, family) if difference.has_interval else None,
        seeds_needed=seeds_needed(margin, difference, family) if difference.has_interval and margin > 0 else None,
        cost=costs(report).difference(pair.treated, pair.baseline),
    )
