"""What techniques do together, in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from bench.report.report import Report
from bench.report.sections.combinations.attributions import Attribution, attributions
from bench.report.sections.combinations.factorials import Factorial, factorials
from bench.report.show.words import few, how_surely, listed, margin_points, plural, points, points_interval
from bench.report.stats.estimate import Estimate
from bench.report.stats.verdict import Verdict, judge_family

# So many pairs of techniques can be named in a sentence.
_MOST_PAIRS = 12


def combination_sentences(report: Report) -> Iterator[str]:
    """Who earned the gain between two presets, and which techniques do more or less together than apart."""
    for attribution in attributions(report):
        yield _attribution_sentence(attribution)
    pairs = [pair.effect for design in factorials(report) for pair in design.interactions]
    verdicts = iter([judgement.verdict for judgement in judge_family(pairs, report.margin)])
    for design in factorials(report):
        yield _main_effects_sentence(design)
        yield from _interaction_sentences(design, report.margin, list(islice(verdicts, len(design.interactions))))


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
            yield f"{on} {first} adds {size} where there is {second} ({how_surely(pair.effect)})."
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
