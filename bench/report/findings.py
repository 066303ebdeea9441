"""The answer in plain sentences: what helped, by how much, how surely, at what cost; and what these rows can't say."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.plan.cells import preset_cell
from bench.plan.factors import FACTORS, find_factors, level_of
from bench.report.analysis import Analysis, Attribution, CellResult, Effect, Factorial, PresetStep
from bench.report.stats.estimate import Estimate
from bench.report.stats.paired import ALPHA, seeds_for_sign_flip, smallest_sign_flip_p
from bench.report.stats.verdict import Verdict, judge
from bench.report.words import listed, percent, percent_interval, plural, points, points_interval, seeds, sentence

# The order in which findings are read: what is settled first, the largest first.
_ORDER = (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)
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

    `Batch norm helps model1 (+0.21 points, 95 % interval +0.10 to +0.32, 5 seeds); it is not settled on model2 (...).`
    """
    techniques: dict[str, list[Effect]] = {}
    for effect in analysis.effects:
        techniques.setdefault(effect.technique, []).append(effect)
    for name, effects in sorted(techniques.items(), key=lambda item: _weight(item[1]), reverse=True):
        said = []
        for verdict in _ORDER:
            models = [f"{e.architecture} {_measured(e.comparison.difference)}" for e in effects if e.verdict == verdict]
            if models:
                said.append(f"{_SAID[verdict]} {listed(models)}")
        yield f"{sentence(name)} {'; it '.join(said)}."


def effect_sentence(effect: Effect, margin: float) -> str:
    """`Batch norm raised model1 by 0.21 points (95 % interval +0.10 to +0.32, 5 seeds), training 9 % slower: helps.`"""
    difference = effect.comparison.difference
    moved = "raised" if difference.mean > 0 else "lowered" if difference.mean < 0 else "left"
    by = f"by {abs(difference.mean) * 100:.2f} points" if difference.mean else "where it was"
    text = f"{sentence(effect.technique)} {moved} {effect.architecture} {by} {_interval(difference)}{_cost(effect)}"
    if effect.verdict == Verdict.EQUIVALENT:
        return f"{text}: equivalent, the whole interval is within the margin of {margin * 100:.2f} points."
    if effect.verdict != Verdict.INCONCLUSIVE:
        return f"{text}: {effect.verdict}."
    if effect.smallest_found is None:
        return f"{text}: inconclusive, the seeds give no interval."
    needed = (
        f"; one of {margin * 100:.2f} points would take {seeds(effect.seeds_needed)} seeds"
        if effect.seeds_needed is not None
        else ""
    )
    return (
        f"{text}: inconclusive. {plural(difference.n, 'seed')} with this spread would find a difference of "
        f"{effect.smallest_found * 100:.2f} points four times in five{needed}."
    )


def preset_sentences(analysis: Analysis) -> Iterator[str]:
    """What each published model reached, and what lies between successive ones."""
    for result in analysis.presets:
        accuracy = result.accuracy
        interval = percent_interval(accuracy.low, accuracy.high)
        yield (
            f"{result.cell.architecture} as published reaches {percent(accuracy.mean)} "
            f"({f'95 % interval {interval}, ' if interval else ''}{plural(accuracy.n, 'seed')}) with "
            f"{result.cost.parameters:,} parameters."
        )
    for step in analysis.steps:
        yield _step_sentence(step)


def combination_sentences(analysis: Analysis) -> Iterator[str]:
    """Who earned the gain between two published models, and which techniques do more or less together than apart."""
    for attribution in analysis.attributions:
        yield _attribution_sentence(attribution)
    for design in analysis.factorials:
        yield from _interaction_sentences(design, analysis.margin)


def caveats(analysis: Analysis) -> Iterator[str]:
    """What has to be known before the numbers are believed: what is missing, and what so few seeds can't show."""
    evidence = analysis.evidence
    for status in ("diverged", "failed"):
        rows = evidence.unfinished[evidence.unfinished["status"] == status]
        if len(rows):
            cells = listed(sorted(rows["cell"].unique()))
            yield f"{plural(len(rows), 'trial')} {status} and count in no mean: {cells}."
    yield from _incomplete(analysis)
    yield from _untried(analysis)
    for left_out in evidence.left_out:
        yield f"Left out of this report: {left_out}."
    yield from _what_few_seeds_cannot_show(analysis)


def _incomplete(analysis: Analysis) -> Iterator[str]:
    """Cells with fewer seeds than their like. A design may give more seeds to presets than to toggles, or to toggles
    than to combinations; what is short is short of the cells with as many techniques changed."""
    missing = []
    for _, alike in groupby(sorted(analysis.cells, key=_changes), key=_changes):
        trained = [result.accuracy.n + result.unfinished for result in alike]
        missing += [max(trained) - number for number in trained if number < max(trained)]
    if missing:
        yield (
            f"Incomplete: fewer seeds than their like in {plural(len(missing), 'cell')} of {len(analysis.cells)}, "
            f"{plural(sum(missing), 'trial')} in all. `python -m bench run` with the same options trains what is "
            "missing."
        )


def _changes(result: CellResult) -> int:
    """In how many techniques a cell differs from its model as published."""
    return len(result.cell.differences(preset_cell(result.cell.architecture)))


def _untried(analysis: Analysis) -> Iterator[str]:
    """Techniques that no trial switched, model by model."""
    for result in analysis.presets:
        name = result.cell.architecture
        tried = {effect.factor.name for effect in analysis.effects if effect.architecture == name}
        untried = [factor.name for factor in FACTORS if factor.name not in tried]
        if untried:
            yield f"Not tried on {name}: {listed(untried)}."


def _what_few_seeds_cannot_show(analysis: Analysis) -> Iterator[str]:
    """The sign-flip test's limit, where it lies above 5 %."""
    sizes = [effect.comparison.difference.n for effect in analysis.effects]
    sizes += [step.comparison.difference.n for step in analysis.steps]
    enough = seeds_for_sign_flip(ALPHA)
    if not sizes or min(sizes) >= enough:
        return
    fewest = min(sizes)
    family = max((sum(e.architecture == name for e in analysis.effects) for name in _models(analysis)), default=0)
    adjusted = (
        f"; after Holm's adjustment for a model's {family} toggles it takes {seeds_for_sign_flip(ALPHA / family)}"
        if family > 1
        else ""
    )
    yield (
        f"What {plural(fewest, 'seed')} can't show: a test that assumes nothing (sign-flip) can't go below p = "
        f"{smallest_sign_flip_p(fewest):.4g} with them, whatever the networks do. The intervals here lean on "
        f"differences between seeds being near normal. {enough} seeds can reach p < 0.05{adjusted}."
    )


def _models(analysis: Analysis) -> list[str]:
    return list(dict.fromkeys(effect.architecture for effect in analysis.effects))


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
    """`The +0.20 points from model1 to model2 (5 seeds), shared out ...: batch norm +0.15 (95 % interval ...), ...`"""
    levels = preset_cell(attribution.end).levels
    shares = {
        factor.in_words(level_of(levels, factor)): attribution.shares[factor.name]
        for factor in find_factors(attribution.shares)
    }
    if attribution.layers is not None:
        shares["other layers"] = attribution.layers
    earned = []
    for name, share in shares.items():
        interval = points_interval(share.low, share.high)
        earned.append(f"{name} {points(share.mean)}{f' (95 % interval {interval})' if interval else ''}")
    whole = points(sum(share.mean for share in shares.values()))
    number = plural(min(share.n for share in shares.values()), "seed")
    return (
        f"The {whole} points from {attribution.start} to {attribution.end} ({number}), shared out over all orders of "
        f"adding the techniques: {listed(earned)}."
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
        yield f"{on} gains add up, to within {margin * 100:.2f} points: {listed(additive)} ({number})."
    if unsettled:
        yield f"{on} it is not settled whether gains add up: {listed(unsettled)} ({number})."


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
