"""Effects of runs that went on until it was settled: intervals and verdicts that hold although somebody looked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from bench.plan.cells import Cell
from bench.report.evidence import Evidence
from bench.report.looked import Arm
from bench.report.sections.effects.questions import Question, questions
from bench.report.show.words import few, plural
from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import Estimate
from bench.report.stats.paired import Comparison, SeedsNeeded, seeds_needed, smallest_effect_found, spread_range
from bench.report.stats.sequential import Anytime, Seen, anytime, judge_seen, seeds_for, smallest_found
from bench.report.stats.verdict import Judgement

RULE = (
    "anytime-valid t (Wang and Ramdas 2025, arXiv 2310.03722) for what a technique does: it holds at all looks "
    "together, and is wider than a t interval, which holds at one"
)

_MOST_LOOKS = 12


def answerable(evidence: Evidence) -> list[Question]:
    """What the rows say something about: toggles whose cells were both trained, at the preset's rate too where they
    were trained at that."""
    asked = questions(evidence.cells, lambda cell: float(evidence.rows(cell)["lr"].iloc[-1]))
    return [question for question in asked if all(arms_of(evidence, question))]


class _Compares(Protocol):
    """Two cells at their learning rates."""

    @property
    def treated(self) -> Cell: ...
    @property
    def baseline(self) -> Cell: ...
    @property
    def rates(self) -> tuple[float, float]: ...
    @property
    def same_rate(self) -> bool: ...


def arms_of(evidence: Evidence, question: _Compares) -> tuple[Values, Values]:
    """The accuracies by seed of the two cells that a question compares."""
    treated, baseline = question.treated, question.baseline
    if not question.same_rate:
        return evidence.values(treated), evidence.values(baseline)
    at_treated, at_baseline = question.rates
    return evidence.accuracies_at(treated, at_treated), evidence.accuracies_at(baseline, at_baseline)


def allowing_for_looks(comparison: Comparison) -> Comparison:
    """The same with an interval and p values that hold at every look."""
    return replace(comparison, difference=anytime(comparison.difference, comparison.treated, comparison.baseline))


def finds(difference: Estimate, family: int) -> float | None:
    """The difference that these seeds find four times in five by the rule that the interval follows; infinite where
    they are too few to find any, None without an interval."""
    if not difference.has_interval:
        return None
    if isinstance(difference, Anytime):
        return smallest_found(difference, family)
    return smallest_effect_found(difference, family)


def needs(margin: float, difference: Estimate, family: int) -> SeedsNeeded | None:
    """The seeds in each arm that find a difference of the margin's size four times in five by that rule; None without
    an interval or a margin."""
    if not difference.has_interval or not margin > 0:
        return None
    if isinstance(difference, Anytime):
        return SeedsNeeded(*(seeds_for(margin, sd, family) for sd in (difference.sd, *spread_range(difference))))
    return seeds_needed(margin, difference, family)


def judge_after_looks(evidence: Evidence, asked: Sequence[Question], margin: float) -> list[Judgement]:
    """The verdicts after all looks and this one: what was settled at one of them stays so, which the rule allows."""
    seen = [_seen(evidence, question, margin) for question in asked]
    return judge_seen(seen)


def interval_in_words(evidence: Evidence) -> str:
    """Of which rule the intervals of effects are."""
    return "interval that holds at every look" if evidence.looks else "t interval"


def test_in_words(evidence: Evidence) -> str:
    """Whose the p values of effects are."""
    return "the anytime-valid t test's" if evidence.looks else "Student's"


def looks_sentence(evidence: Evidence) -> str:
    """Which rule the intervals follow, in a sentence or two; empty where nobody looked before."""
    if not evidence.looks:
        return ""
    return (
        f"Seeds were added until it was settled, with {plural(len(evidence.looks), 'look')}: intervals and verdicts of "
        "these comparisons hold at all looks together. Those of single cells, of steps between models and of "
        "combinations don't allow for looks."
    )


def looks_facts(evidence: Evidence) -> list[tuple[str, str]]:
    """The looks as facts by name: how many there were, when, with how many trials by then, and the rule."""
    if not evidence.looks:
        return []
    said = [f"{look.number} ({sum(map(len, look.seeds.values())):,} trials, {look.at})" for look in evidence.looks]
    return [("Looks", few(said, _MOST_LOOKS)), ("Rule of the intervals", RULE)]


def _seen(evidence: Evidence, question: Question, margin: float) -> Seen:
    treated, baseline = arms_of(evidence, question)
    arms: list[Arm] = [
        (cell.label, rate) for cell, rate in zip((question.treated, question.baseline), question.rates, strict=True)
    ]
    seen, before = Seen(), None
    for look in evidence.looks:
        had = tuple(look.seeds.get(arm, frozenset()) for arm in arms)
        if had != before:
            seen = _after(seen, _of(treated, had[0]), _of(baseline, had[1]), evidence.step, margin)
        before = had
    return _after(seen, treated, baseline, evidence.step, margin)


def _after(seen: Seen, treated: Values, baseline: Values, step: float, margin: float) -> Seen:
    if not treated or not baseline:
        return seen
    difference = contrast((1, -1), aligned([treated, baseline]), step)
    return seen.after(anytime(difference, len(treated), len(baseline)), margin)


def _of(values: Values, seeds: frozenset[int]) -> Values:
    return {seed: value for seed, value in values.items() if seed in seeds}
