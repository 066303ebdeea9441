"""What a technique does on average over the models that it was switched on."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.report import Report, once
from bench.report.sections.effects.looks import arms_of
from bench.report.sections.effects.measured import Effect, effects
from bench.report.stats.contrast import aligned, contrast
from bench.report.stats.estimate import Estimate
from bench.report.stats.sequential import Seen, anytime, judge_seen
from bench.report.stats.verdict import SETTLED, Judgement, Verdict, judge_family


@dataclass(frozen=True)
class Pooled:
    """A technique and its effects, a model each. `difference` is the mean of the effects, every model counting alike,
    and is about these models, not about models at large. `judgement` holds for the family of all techniques."""

    technique: str
    effects: tuple[Effect, ...]
    difference: Estimate
    judgement: Judgement

    @property
    def verdict(self) -> Verdict:
        """What the rows say of the mean, for the family of all techniques."""
        return self.judgement.verdict


@once
def pooled_effects(report: Report) -> tuple[Pooled, ...]:
    """One per technique: settled ones first, then the surest."""
    techniques: dict[str, list[Effect]] = {}
    for effect in effects(report):
        techniques.setdefault(_called(effect), []).append(effect)
    differences = [_mean(report, own) for own in techniques.values()]
    if report.evidence.looks:
        judgements = judge_seen([Seen().after(difference, report.margin) for difference in differences])
    else:
        judgements = judge_family(differences, report.margin)
    pooled = [
        Pooled(name, tuple(own), difference, judgement)
        for (name, own), difference, judgement in zip(techniques.items(), differences, judgements, strict=True)
    ]
    return tuple(sorted(pooled, key=_sureness, reverse=True))


def _called(effect: Effect) -> str:
    """The technique, and whether it comes with a learning rate of its own."""
    if effect.same_rate:
        return f"{effect.technique} at an equal rate"
    return f"{effect.technique} at its own rate" if effect.at_rates else effect.technique


def _mean(report: Report, own: Sequence[Effect]) -> Estimate:
    """Over all seeds of all cells: seeds that several models share are reckoned with. After looks its interval holds at
    every look."""
    arms = [arm for effect in own for arm in arms_of(report.evidence, effect)]
    difference = contrast([1 / len(own), -1 / len(own)] * len(own), aligned(arms), report.evidence.step)
    if not report.evidence.looks:
        return difference
    treated, baseline = (min(map(len, arms[side::2])) for side in (0, 1))
    return anytime(difference, treated, baseline)


def _sureness(pooled: Pooled) -> tuple[bool, float]:
    judgement = pooled.judgement
    return pooled.verdict in SETTLED, -min(judgement.p, judgement.p_beyond)
