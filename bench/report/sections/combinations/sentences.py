"""What techniques do together, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from bench.report.report import Report
from bench.report.sections.combinations.attributions import Attribution, attributions
from bench.report.sections.combinations.factorials import Factorial, factorials, verdicts
from bench.report.show.words import few, margin_points, points
from bench.report.stats.verdict import Verdict

# So many pairs of techniques can be named in a sentence.
_MOST_PAIRS = 12


def combination_sentences(report: Report) -> Iterator[str]:
    """Who earned the gain between two presets, and which techniques do more or less together than apart."""
    for attribution in attributions(report):
        yield _attribution_sentence(attribution)
    known = verdicts(report)
    for design in factorials(report):
        yield from _main_effect_sentences(design, known)
        yield from _interaction_sentences(design, report.margin, [known[id(pair)] for pair in design.interactions])


def _attribution_sentence(attribution: Attribution) -> str:
    """`From tiny to small accuracy changes by +0.20 points; the largest share is that of batch norm, +0.15.`"""
    shares = attribution.shares_in_words
    if attribution.layers is not None:
        shares["other layers"] = attribution.layers
    whole = sum(share.mean for share in shares.values())
    name, largest = max(shares.items(), key=lambda share: abs(share[1].mean))
    return (
        f"From {attribution.start} to {attribution.end} accuracy changes by {points(whole)} points; the largest share "
        f"is that of {name}, {points(largest.mean)}."
    )


def _main_effect_sentences(design: Factorial, known: Mapping[int, Verdict]) -> Iterator[str]:
    """What a technique adds, averaged over all combinations with the others."""
    unsettled = []
    for main in design.effects:
        name, verdict = design.in_words(main.factor, main.level), known[id(main)]
        if verdict in (Verdict.HELPS, Verdict.HURTS):
            yield (
                f"Over all combinations on {design.architecture} {name} {verdict}: {points(main.effect.mean)} points."
            )
        elif verdict != Verdict.EQUIVALENT:
            unsettled.append(name)
    if unsettled:
        yield f"Over all combinations on {design.architecture} what is added by {few(unsettled)} is not settled."


def _interaction_sentences(design: Factorial, margin: float, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """`verdicts` hold for the family of all interactions of the report."""
    on = f"On {design.architecture}"
    additive, unsettled = [], []
    for pair, verdict in zip(design.interactions, verdicts, strict=True):
        first, second = map(design.in_words, pair.factors, pair.levels)
        if verdict == Verdict.EQUIVALENT:
            additive.append(f"{first} with {second}")
        elif verdict in (Verdict.INCONCLUSIVE, Verdict.TENTATIVE):
            unsettled.append(f"{first} with {second}")
        else:
            size = f"{abs(pair.effect.mean) * 100:.2f} points {'more' if verdict == Verdict.HELPS else 'less'}"
            yield f"{on} {first} adds {size} where there is {second}."
    if additive:
        yield f"{on} gains add up, to within {margin_points(margin)} points: {few(additive, _MOST_PAIRS)}."
    if unsettled:
        yield f"{on} it is not settled whether gains add up: {few(unsettled, _MOST_PAIRS)}."
