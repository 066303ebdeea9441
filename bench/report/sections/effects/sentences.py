"""The answer in plain sentences: what helped, by how much, how surely and at what cost."""

from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.effects.measured import Effect, effects, sureness
from bench.report.sections.effects.pooled import Pooled, pooled_effects
from bench.report.show.words import few, margin_points, points, sentence
from bench.report.stats.estimate import Estimate
from bench.report.stats.verdict import Verdict

# The order in which findings are read: what is settled first.
_ORDER = tuple(Verdict)

# So many headlines are seen at once, in a README and on a page.
HEADLINES = 4

# What is to be thought of a difference that stands out alone only.
_CHANCE = "Among so many comparisons one like it may be chance."

# What a log says of one that isn't shown to help.
_IN_A_LOG = {
    Verdict.HURTS: "hurts",
    Verdict.EQUIVALENT: "changes too little to matter",
    Verdict.TENTATIVE: "stands out alone and not among so many",
    Verdict.INCONCLUSIVE: "is not settled",
}

# So many models can be named in one.
_MOST_MODELS = 4


def findings(report: Report) -> Iterator[tuple[Verdict, str]]:
    """One sentence per technique and model with its verdict, settled ones first, surer ones first."""
    for effect in sorted(effects(report), key=lambda effect: (_ORDER.index(effect.verdict), -sureness(effect)[1])):
        yield effect.verdict, effect_sentence(effect, report.margin)


def headlines(report: Report) -> Iterator[str]:
    """One sentence per technique, on average over the models that it was switched on, in the order of the chart.

    `Batch norm helps: +0.19 points on average over 3 models.`
    """
    for pooled in pooled_effects(report):
        difference, name = pooled.difference, sentence(pooled.technique)
        several = len(pooled.effects) > 1
        where = f"on average over {len(pooled.effects):,} models" if several else f"on {pooled.effects[0].architecture}"
        size = f"{points(difference.mean)} points {where}"
        if pooled.verdict in (Verdict.HELPS, Verdict.HURTS):
            yield f"{name} {pooled.verdict}: {size}.{_against(pooled)}"
        elif pooled.verdict == Verdict.EQUIVALENT:
            yield f"{name} changes less than {margin_points(report.margin)} points {where}.{_against(pooled)}"
        elif pooled.verdict == Verdict.TENTATIVE:
            yield f"{name} {_may(difference)}: measured {size}. {_CHANCE}{_against(pooled)}"
        else:
            yield f"{name} is not settled: measured {size}{_could_be(difference)}.{_against(pooled)}"


def log(report: Report) -> Iterator[str]:
    """What was tried and hasn't been shown to help, a line per technique and model with the day of the newest row that
    it rests on, in that order.

    `2026-01-31, tiny: batch norm is not settled, +0.02 points (+0.00 to +0.04), 20 seeds with it and 5 without.`
    """
    dated = [(_newest(report, effect), effect) for effect in effects(report) if effect.verdict != Verdict.HELPS]
    for day, effect in sorted(dated, key=lambda one: one[0]):
        comparison, difference = effect.comparison, effect.comparison.difference
        interval = f" ({points(difference.low)} to {points(difference.high)})" if difference.has_interval else ""
        yield (
            f"{day}, {effect.architecture}: {effect.technique_at_rates} {_IN_A_LOG[effect.verdict]}, "
            f"{points(difference.mean)} points{interval}, {comparison.treated} seeds with it and "
            f"{comparison.baseline} without."
        )


def _newest(report: Report, effect: Effect) -> str:
    """The day on which the last of its trials began, as rows have it."""
    rows = report.evidence.rates
    arms = zip((effect.treated, effect.baseline), effect.rates, strict=True)
    began = [rows.loc[(rows["cell"] == cell.label) & (rows["lr"] == rate), "started_at"].max() for cell, rate in arms]
    return str(max(began))[: len("2026-01-31")]


def effect_sentence(effect: Effect, margin: float) -> str:
    """`Batch norm helps tiny: +0.21 points, at 9 % lower training throughput.`"""
    difference, cost = effect.comparison.difference, _cost(effect)
    name, model = sentence(effect.technique_at_rates), effect.architecture
    size = f"{points(difference.mean)} points{cost}"
    if effect.verdict in (Verdict.HELPS, Verdict.HURTS):
        return f"{name} {effect.verdict} {model}: {size}."
    if effect.verdict == Verdict.EQUIVALENT:
        return f"{name} changes {model} by less than {margin_points(margin)} points{cost}."
    if effect.verdict == Verdict.TENTATIVE:
        return f"{name} {_may(difference)} {model}: measured {size}. {_CHANCE}"
    return f"{name} is not settled on {model}: measured {points(difference.mean)} points{_could_be(difference)}{cost}."


def _may(difference: Estimate) -> str:
    return "may help" if difference.mean > 0 else "may hurt"


def _could_be(difference: Estimate) -> str:
    if not difference.has_interval:
        return ", with too few seeds for an interval"
    return f"; could be {points(difference.low)} to {points(difference.high)}"


def _against(pooled: Pooled) -> str:
    """The models on which a technique surely does the opposite of its average."""
    opposite = Verdict.HURTS if pooled.difference.mean > 0 else Verdict.HELPS
    models = [effect.architecture for effect in pooled.effects if effect.verdict == opposite]
    return f" It {opposite} {few(models, _MOST_MODELS)}." if models and len(pooled.effects) > 1 else ""


def _cost(effect: Effect) -> str:
    """What it costs in training throughput, where that was timed, can be told from nothing and is a percent or more."""
    speed = effect.cost.train_speed
    if speed is None or (speed.has_interval and speed.low <= 1 <= speed.high):
        return ""
    change = round((speed.mean - 1) * 100)
    return f", at {abs(change)} % {'lower' if change < 0 else 'higher'} training throughput" if change else ""
