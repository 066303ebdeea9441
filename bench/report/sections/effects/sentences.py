"""The answer in plain sentences: what helped, by how much, how surely and at what cost."""

from collections.abc import Iterator, Sequence

from bench.report.report import Report
from bench.report.sections.effects.measured import Effect, effects, sureness
from bench.report.show.words import (
    few,
    how_surely,
    margin_points,
    points,
    seeds_of,
    seeds_range,
    sentence,
)
from bench.report.stats.verdict import Verdict

# The order in which findings are read: what is settled first.
_ORDER = tuple(Verdict)

# So many models can be named in a headline.
_MOST_MODELS = 6


def findings(report: Report) -> Iterator[tuple[Verdict, str]]:
    """One sentence per technique and model with its verdict, settled ones first, surer ones first."""
    for effect in sorted(effects(report), key=lambda effect: (_ORDER.index(effect.verdict), -sureness(effect)[1])):
        yield effect.verdict, effect_sentence(effect, report.margin)


def headlines(report: Report) -> Iterator[str]:
    """One sentence per technique on all models, those first that surely make a difference on most of them, then the
    surest.

    `Batch norm helps tiny (+0.21 points, 95 % interval +0.10 to +0.32, 5 seeds); it is not settled on small (...).`
    """
    techniques: dict[str, list[Effect]] = {}
    for effect in effects(report):
        techniques.setdefault(_headed(effect), []).append(effect)
    for name, own in sorted(techniques.items(), key=lambda item: _weight(item[1]), reverse=True):
        said: dict[str, list[Effect]] = {}
        for effect in sorted(own, key=lambda effect: _ORDER.index(effect.verdict)):
            said.setdefault(_said(effect), []).append(effect)
        parts = [
            f"{words} {few([f'{e.architecture} {_measured(e)}' for e in _surest(models)], _MOST_MODELS)}"
            for words, models in said.items()
        ]
        yield f"{sentence(name)} {'; it '.join(parts)}."


def effect_sentence(effect: Effect, margin: float) -> str:
    """`Batch norm helps tiny: +0.21 points (95 % interval +0.10 to +0.32, 5 seeds against 20), at 9 % lower ...`"""
    difference = effect.comparison.difference
    name = f"{sentence(effect.technique_at_rates)} {_said(effect)} {effect.architecture}"
    if effect.verdict == Verdict.EQUIVALENT:
        return f"{name}: {_amount(effect)}{_cost(effect)}, surely within the margin of {margin_points(margin)} points."
    if effect.verdict in (Verdict.HELPS, Verdict.HURTS):
        return f"{name}: {_amount(effect)}{_cost(effect)}."
    if effect.verdict == Verdict.TENTATIVE:
        return f"{name}: {_amount(effect)}{_cost(effect)}. Among so many comparisons chance alone may give one like it."
    if effect.smallest_found is None:
        return f"{name}: measured {_amount(effect)}{_cost(effect)}, without an interval."
    needed = (
        f"; {seeds_range(effect.seeds_needed.low, effect.seeds_needed.high)} seeds in each arm would find one of "
        f"{margin_points(margin)} points"
        if effect.seeds_needed is not None
        else ""
    )
    number = seeds_of(effect.comparison.treated, effect.comparison.baseline)
    return (
        f"{name}: measured {points(difference.mean)} points, could be {points(difference.low)} to "
        f"{points(difference.high)} ({number}){_cost(effect)}. These seeds would find a difference of "
        f"{effect.smallest_found * 100:.2f} points four times in five{needed}."
    )


def _headed(effect: Effect) -> str:
    """The technique, and whether it is with a rate of its own."""
    if effect.same_rate:
        return f"{effect.technique} at an equal rate"
    return f"{effect.technique} at its own rate" if effect.at_rates else effect.technique


def _said(effect: Effect) -> str:
    """The verdict as a verb."""
    better = effect.comparison.difference.mean > 0
    return {
        Verdict.HELPS: "helps",
        Verdict.HURTS: "hurts",
        Verdict.EQUIVALENT: "makes no difference that matters on",
        Verdict.TENTATIVE: f"tentatively {'helps' if better else 'hurts'}",
        Verdict.INCONCLUSIVE: "is not settled on",
    }[effect.verdict]


def _surest(own: list[Effect]) -> list[Effect]:
    """In the order of the models, or the surest first where they can't all be named."""
    return own if len(own) <= _MOST_MODELS else sorted(own, key=sureness, reverse=True)


def _measured(effect: Effect) -> str:
    comparison = effect.comparison
    number = seeds_of(comparison.treated, comparison.baseline)
    return f"({points(comparison.difference.mean)} points, {how_surely(comparison.difference, number)})"


def _amount(effect: Effect) -> str:
    return _measured(effect).removeprefix("(").replace(" points, ", " points (", 1)


def _weight(own: Sequence[Effect]) -> tuple[int, float]:
    sure = [effect.judgement.p for effect in own if effect.verdict in (Verdict.HELPS, Verdict.HURTS)]
    return len(sure), -min([*sure, *(effect.judgement.p for effect in own)])


def _cost(effect: Effect) -> str:
    """What it costs in training throughput, where that was timed, can be told from nothing and is a percent or more."""
    speed = effect.cost.train_speed
    if speed is None or (speed.has_interval and speed.low <= 1 <= speed.high):
        return ""
    change = round((speed.mean - 1) * 100)
    return f", at {abs(change)} % {'lower' if change < 0 else 'higher'} training throughput" if change else ""
