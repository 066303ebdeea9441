"""The answer in plain sentences: what helped, by how much, how surely and at what cost."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.plan.catalogue import find_architecture
from bench.plan.cells import preset_cell
from bench.plan.factors import level_of
from bench.report.analysis import Analysis, CellResult, Effect, PresetStep
from bench.report.combinations import Attribution, Factorial
from bench.report.recall import APART
from bench.report.stats.estimate import Estimate
from bench.report.stats.verdict import Verdict, judge
from bench.report.words import (
    few,
    listed,
    margin_points,
    percent,
    percent_interval,
    plural,
    points,
    points_interval,
    seeds,
    sentence,
)

# The order in which findings are read: what is settled first, the largest first.
_ORDER = (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)

# So many models can be named in a headline.
_MOST_MODELS = 6

# And so many pairs of techniques in a sentence on what they do together.
_MOST_PAIRS = 12

_SAID = {
    Verdict.HELPS: "helps",
    Verdict.HURTS: "hurts",
    Verdict.EQUIVALENT: "makes no difference that matters on",
    Verdict.INCONCLUSIVE: "is not settled on",
}


def findings(analysis: Analysis) -> Iterator[tuple[Verdict, str]]:
    """One sentence per technique and model with its verdict, settled ones first, larger ones first."""
    ranked = sorted(
        analysis.effects,
        key=lambda effect: (_ORDER.index(effect.verdict), -abs(effect.comparison.difference.mean)),
    )
    for effect in ranked:
        yield effect.verdict, effect_sentence(effect, analysis.margin)


def headlines(analysis: Analysis) -> Iterator[str]:
    """One sentence per technique on all models, those first that make a difference on most of them, then the largest.

    `Batch norm helps tiny (+0.21 points, 95 % interval +0.10 to +0.32, 5 seeds); it is not settled on small (...).`
    """
    techniques: dict[str, list[Effect]] = {}
    for effect in analysis.effects:
        techniques.setdefault(effect.technique, []).append(effect)
    for name, effects in sorted(techniques.items(), key=lambda item: _weight(item[1]), reverse=True):
        said = []
        for verdict in _ORDER:
            models = _largest([e for e in effects if e.verdict == verdict])
            if models:
                named = [f"{e.architecture} {_measured(e.comparison.difference)}" for e in models]
                said.append(f"{_SAID[verdict]} {few(named, _MOST_MODELS)}")
        unsettled = _largest([e for e in effects if e.verdict == Verdict.INCONCLUSIVE])
        settled = [text for effect in unsettled for text in _settled_by_combinations(analysis, effect)]
        said += settled[:_MOST_MODELS]
        if len(settled) > _MOST_MODELS:
            said.append(f"is settled by combinations on {len(settled) - _MOST_MODELS:,} more")
        yield f"{sentence(name)} {'; it '.join(said)}."


def shortened(sentences: Iterable[str], most: int, table: str) -> list[str]:
    """The first `most` sentences, and one that says where the rest can be read."""
    texts = list(sentences)
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], f"And {more:,} more: tables/{table}.csv has them all."]


def effect_sentence(effect: Effect, margin: float) -> str:
    """`Batch norm raised tiny by 0.21 points (95 % interval +0.10 to +0.32, 5 seeds), at 9 % lower ...: helps.`"""
    difference = effect.comparison.difference
    size = round(abs(difference.mean) * 100, 2)
    moved = ("raised" if difference.mean > 0 else "lowered") if size else "left"
    by = f"by {size:.2f} points" if size else "where it was"
    text = f"{sentence(effect.technique)} {moved} {effect.architecture} {by} {_interval(difference)}{_cost(effect)}"
    if effect.verdict == Verdict.EQUIVALENT:
        return f"{text}: equivalent, the whole interval is within the margin of {margin_points(margin)} points."
    if effect.verdict != Verdict.INCONCLUSIVE:
        return f"{text}: {effect.verdict}."
    if effect.smallest_found is None:
        return f"{text}: inconclusive, the seeds give no interval."
    needed = (
        f"; one of {margin_points(margin)} points would take {seeds(effect.seeds_needed)} seeds"
        if effect.seeds_needed is not None
        else ""
    )
    return (
        f"{text}: inconclusive. {plural(difference.n, 'seed')} with this spread would find a difference of "
        f"{effect.smallest_found * 100:.2f} points four times in five{needed}."
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
    for design in analysis.factorials:
        yield _main_effects_sentence(design)
        yield from _interaction_sentences(design, analysis.margin)


def _largest(effects: list[Effect]) -> list[Effect]:
    """In the order of the models, or the largest first where they can't all be named."""
    if len(effects) <= _MOST_MODELS:
        return effects
    return sorted(effects, key=lambda effect: -abs(effect.comparison.difference.mean))


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


def _interaction_sentences(design: Factorial, margin: float) -> Iterator[str]:
    on, number = f"On {design.architecture}", plural(design.seeds, "seed")
    additive, unsettled = [], []
    for pair in design.interactions:
        first, second = map(design.in_words, pair.factors, pair.levels)
        verdict = judge(pair.effect, margin)
        if verdict == Verdict.EQUIVALENT:
            additive.append(f"{first} with {second}")
        elif verdict == Verdict.INCONCLUSIVE:
            unsettled.append(f"{first} with {second}")
        else:
            size = f"{abs(pair.effect.mean) * 100:.2f} points {'more' if verdict == Verdict.HELPS else 'less'}"
            yield f"{on} {first} adds {size} where there is {second} {_interval(pair.effect)}."
    if additive:
        yield f"{on} gains add up, to within {margin_points(margin)} points: {few(additive, _MOST_PAIRS)} ({number})."
    if unsettled:
        yield f"{on} it is not settled whether gains add up: {few(unsettled, _MOST_PAIRS)} ({number})."


def _settled_by_combinations(analysis: Analysis, effect: Effect) -> Iterator[str]:
    """What every combination of levels tells about a technique of which the preset's own toggle is unsure."""
    if effect.without != effect.factor.levels[0]:
        return
    for design in analysis.factorials:
        if design.architecture == effect.architecture and effect.factor in design.factors:
            main = design.main_effect(effect.factor, effect.level)
            verdict = judge(main, analysis.margin)
            others = listed([factor.in_words(factor.on) for factor in design.factors if factor != effect.factor])
            if verdict != Verdict.INCONCLUSIVE:
                yield f"{_SAID[verdict]} {design.architecture} over all combinations with {others} {_measured(main)}"


def _amounts(amounts: Mapping[str, Estimate]) -> str:
    """`+0.18 for batch norm (95 % interval +0.10 to +0.26) and 0.00 for dropout 0.1 (...)`"""
    said = []
    for name, amount in amounts.items():
        interval = points_interval(amount.low, amount.high)
        said.append(f"{points(amount.mean)} for {name}{f' (95 % interval {interval})' if interval else ''}")
    return listed(said)


def _interval(difference: Estimate) -> str:
    return f"({_how_surely(difference)})"


def _measured(difference: Estimate) -> str:
    return f"({points(difference.mean)} points, {_how_surely(difference)})"


def _how_surely(difference: Estimate) -> str:
    interval = points_interval(difference.low, difference.high)
    return f"{f'95 % interval {interval}, ' if interval else ''}{plural(difference.n, 'seed')}"


def _weight(effects: Sequence[Effect]) -> tuple[int, float]:
    sizes = [abs(e.comparison.difference.mean) for e in effects if e.verdict in (Verdict.HELPS, Verdict.HURTS)]
    return len(sizes), max(sizes, default=0.0)


def _cost(effect: Effect) -> str:
    """What it costs in training throughput, where that was timed, can be told from nothing and is a percent or more."""
    speed = effect.cost.train_speed
    if speed is None or (speed.has_interval and speed.low <= 1 <= speed.high):
        return ""
    change = round((speed.mean - 1) * 100)
    return f", at {abs(change)} % {'lower' if change < 0 else 'higher'} training throughput" if change else ""
