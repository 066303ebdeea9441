"""The answer in plain sentences: what helped, by how much, how surely and at what cost."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from bench.plan.catalogue import find_architecture
from bench.plan.cells import preset_cell
from bench.plan.factors import level_of
from bench.report.analysis import Analysis, CellResult, Effect, PresetStep, sureness
from bench.report.combinations import Attribution, Factorial
from bench.report.looks import looks_sentence
from bench.report.machines import kinds_of_bits
from bench.report.recall import ACCURACY, APART
from bench.report.stats.estimate import Estimate
from bench.report.stats.verdict import Verdict, judge_family
from bench.report.words import (
    few,
    listed,
    margin_points,
    percent,
    percent_interval,
    plural,
    points,
    points_interval,
    seeds_of,
    seeds_range,
    sentence,
)

# The order in which findings are read: what is settled first.
_ORDER = tuple(Verdict)

# So many models can be named in a headline.
_MOST_MODELS = 6

# And so many pairs of techniques in a sentence on what they do together.
_MOST_PAIRS = 12


def opening(analysis: Analysis) -> str:
    """What was measured on what, in plain words, and what the verdicts hold for: a report's first sentence."""
    evidence, effects = analysis.evidence, analysis.effects
    protocol = evidence.protocol
    counts = sorted(result.accuracy.n for result in analysis.cells)
    fewest, most = counts[0], counts[-1]
    number = plural(most, "seed") if fewest == most else f"{fewest:,} to {plural(most, 'seed')}"
    kinds = kinds_of_bits(evidence.trials["machine"], evidence.machines)
    where = f"{protocol['device']}{f' ({listed(list(kinds))})' if kinds else ''}"
    text = (
        f"Measured is {ACCURACY.what} after the last of {plural(int(str(protocol['epochs'])), 'epoch')} on "
        f"{evidence.dataset}, over {number} a cell, trained in {protocol['precision']} on {where}."
    )
    if not effects:
        return text
    looks = looks_sentence(evidence)
    return (
        f"{text} {plural(len(effects), 'comparison')} of a technique on a model are one family: that any of them is "
        f"called helps or hurts by chance has a probability of at most 5 %; a difference below the margin of "
        f"{margin_points(analysis.margin)} points doesn't matter.{f' {looks}' if looks else ''}"
    )


def findings(analysis: Analysis) -> Iterator[tuple[Verdict, str]]:
    """One sentence per technique and model with its verdict, settled ones first, surer ones first."""
    for effect in sorted(analysis.effects, key=lambda effect: (_ORDER.index(effect.verdict), -sureness(effect)[1])):
        yield effect.verdict, effect_sentence(effect, analysis.margin)


def headlines(analysis: Analysis) -> Iterator[str]:
    """One sentence per technique on all models, those first that surely make a difference on most of them, then the
    surest.

    `Batch norm helps tiny (+0.21 points, 95 % interval +0.10 to +0.32, 5 seeds); it is not settled on small (...).`
    """
    techniques: dict[str, list[Effect]] = {}
    for effect in analysis.effects:
        techniques.setdefault(_headed(effect), []).append(effect)
    for name, effects in sorted(techniques.items(), key=lambda item: _weight(item[1]), reverse=True):
        said: dict[str, list[Effect]] = {}
        for effect in sorted(effects, key=lambda effect: _ORDER.index(effect.verdict)):
            said.setdefault(_said(effect), []).append(effect)
        parts = [
            f"{words} {few([f'{e.architecture} {_measured(e)}' for e in _surest(models)], _MOST_MODELS)}"
            for words, models in said.items()
        ]
        yield f"{sentence(name)} {'; it '.join(parts)}."


def shortened(sentences: Iterable[str], most: int, table: str) -> list[str]:
    """The first `most` sentences, and one that says where the rest can be read."""
    texts = list(sentences)
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], f"And {more:,} more: tables/{table}.csv has them all."]


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
    if math.isinf(effect.smallest_found):
        few_seeds = "So few seeds can't settle any difference among so many comparisons."
    else:
        found = f"{effect.smallest_found * 100:.2f}"
        few_seeds = f"These seeds would find a difference of {found} points four times in five{needed}."
    return (
        f"{name}: measured {points(difference.mean)} points, could be {points(difference.low)} to "
        f"{points(difference.high)} ({number}){_cost(effect)}. {few_seeds}"
    )


def preset_sentences(analysis: Analysis) -> Iterator[str]:
    """What each model reached at its preset, and what lies between successive ones."""
    dataset = analysis.evidence.dataset
    for result in analysis.presets:
        accuracy = result.accuracy
        interval = percent_interval(accuracy.low, accuracy.high)
        name = result.cell.architecture
        how = "as published" if find_architecture(name).published_on(dataset) else "at its preset"
        yield (
            f"{name} {how} reaches {percent(accuracy.mean)} "
            f"({f'95 % interval {interval}, ' if interval else ''}{plural(accuracy.n, 'seed')}) with "
            f"{result.cost.parameters:,} parameters{_classes(analysis, result)}."
        )
    for step in analysis.steps:
        yield _step_sentence(step)


def _classes(analysis: Analysis, result: CellResult) -> str:
    """What accuracy doesn't tell of a model, where it and balanced accuracy tell different stories."""
    recall = result.recall
    if recall is None or result.accuracy.mean - recall.balanced.mean <= APART:
        return ""
    name, worst = analysis.evidence.class_names[recall.worst], recall.of_classes[recall.worst]
    least = f", {name} least, {percent(worst.mean)}" if worst else ""
    return f"; every class counted alike it recognises {percent(recall.balanced.mean)}{least}"


def combination_sentences(analysis: Analysis) -> Iterator[str]:
    """Who earned the gain between two presets, and which techniques do more or less together than apart."""
    for attribution in analysis.attributions:
        yield _attribution_sentence(attribution)
    pairs = [pair.effect for design in analysis.factorials for pair in design.interactions]
    verdicts = iter([judgement.verdict for judgement in judge_family(pairs, analysis.margin)])
    for design in analysis.factorials:
        yield _main_effects_sentence(design)
        yield from _interaction_sentences(design, analysis.margin, list(islice(verdicts, len(design.interactions))))


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


def _surest(effects: list[Effect]) -> list[Effect]:
    """In the order of the models, or the surest first where they can't all be named."""
    return effects if len(effects) <= _MOST_MODELS else sorted(effects, key=sureness, reverse=True)


def _step_sentence(step: PresetStep) -> str:
    difference = step.comparison.difference
    moved = "above" if difference.mean >= 0 else "below"
    published = f", published {step.published * 100:.2f}" if step.published is not None else ""
    levels = preset_cell(step.end).levels
    changed = listed([*(factor.in_words(level_of(levels, factor)) for factor in step.factors), "other layers"])
    size = f"{abs(difference.mean) * 100:.2f} points"
    return (
        f"{step.end} is {size} {moved} {step.start} {_interval(difference)}{published}. "
        f"It takes {changed} at once, so this credits none of them."
    )


def _attribution_sentence(attribution: Attribution) -> str:
    """`The +0.20 points from tiny to small (5 seeds), shared out ...: +0.15 for batch norm (...), ...`"""
    shares = attribution.shares_in_words
    if attribution.layers is not None:
        shares["other layers"] = attribution.layers
    whole = points(sum(share.mean for share in shares.values()))
    number = plural(min(share.n for share in shares.values()), "seed")
    return (
        f"The {whole} points from {attribution.start} to {attribution.end} ({number}), shared out over all orders of "
        f"adding the techniques: {_amounts(shares)}."
    )


def _main_effects_sentence(design: Factorial) -> str:
    amounts = {design.in_words(main.factor, main.level): main.effect for main in design.effects}
    return (
        f"Over all combinations on {design.architecture} ({plural(design.seeds, 'seed')}), in points: "
        f"{_amounts(amounts)}."
    )


def _interaction_sentences(design: Factorial, margin: float, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """`verdicts` hold for the family of all interactions of the report."""
    on, number = f"On {design.architecture}", plural(design.seeds, "seed")
    additive, unsettled = [], []
    for pair, verdict in zip(design.interactions, verdicts, strict=True):
        first, second = map(design.in_words, pair.factors, pair.levels)
        if verdict == Verdict.EQUIVALENT:
            additive.append(f"{first} with {second}")
        elif verdict in (Verdict.INCONCLUSIVE, Verdict.TENTATIVE):
            unsettled.append(f"{first} with {second}")
        else:
            size = f"{abs(pair.effect.mean) * 100:.2f} points {'more' if verdict == Verdict.HELPS else 'less'}"
            yield f"{on} {first} adds {size} where there is {second} {_interval(pair.effect)}."
    if additive:
        yield f"{on} gains add up, to within {margin_points(margin)} points: {few(additive, _MOST_PAIRS)} ({number})."
    if unsettled:
        yield f"{on} it is not settled whether gains add up: {few(unsettled, _MOST_PAIRS)} ({number})."


def _amounts(amounts: Mapping[str, Estimate]) -> str:
    """`+0.18 for batch norm (95 % interval +0.10 to +0.26) and 0.00 for dropout 0.1 (...)`"""
    said = []
    for name, amount in amounts.items():
        interval = points_interval(amount.low, amount.high)
        said.append(f"{points(amount.mean)} for {name}{f' (95 % interval {interval})' if interval else ''}")
    return listed(said)


def _interval(difference: Estimate) -> str:
    return f"({_how_surely(difference, plural(difference.n, 'seed'))})"


def _measured(effect: Effect) -> str:
    comparison = effect.comparison
    number = seeds_of(comparison.treated, comparison.baseline)
    return f"({points(comparison.difference.mean)} points, {_how_surely(comparison.difference, number)})"


def _amount(effect: Effect) -> str:
    comparison = effect.comparison
    number = seeds_of(comparison.treated, comparison.baseline)
    return f"{points(comparison.difference.mean)} points ({_how_surely(comparison.difference, number)})"


def _how_surely(difference: Estimate, number: str) -> str:
    interval = points_interval(difference.low, difference.high)
    return f"{f'95 % interval {interval}, ' if interval else ''}{number}"


def _weight(effects: Sequence[Effect]) -> tuple[int, float]:
    sure = [effect.judgement.p for effect in effects if effect.verdict in (Verdict.HELPS, Verdict.HURTS)]
    return len(sure), -min([*sure, *(effect.judgement.p for effect in effects)])


def _cost(effect: Effect) -> str:
    """What it costs in training throughput, where that was timed, can be told from nothing and is a percent or more."""
    speed = effect.cost.train_speed
    if speed is None or (speed.has_interval and speed.low <= 1 <= speed.high):
        return ""
    change = round((speed.mean - 1) * 100)
    return f", at {abs(change)} % {'lower' if change < 0 else 'higher'} training throughput" if change else ""
