"""Forest plot of what each technique is worth: on average, and model by model."""

from collections.abc import Sequence
from dataclasses import replace

from bench.report.report import Report
from bench.report.sections.effects.looks import interval_in_words
from bench.report.sections.effects.measured import Effect, effects, sureness
from bench.report.sections.effects.pooled import Pooled, pooled_effects
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_ROWS, fold
from bench.report.show.forest import Row, forest
from bench.report.show.style import MOST_SEEDS, remark, seeds_words, short
from bench.report.show.words import listed, margin_points, plural, seeds_of, sentence
from bench.report.stats.verdict import Verdict

# So many techniques have a line, whatever is left of the rows goes to their models.
_MOST_TECHNIQUES = 20


def draw(report: Report) -> Chart | None:
    """For each technique a line that sums it up, and one a model; None where no technique was switched."""
    if not effects(report):
        return None
    techniques, fewer = fold(
        pooled_effects(report),
        _MOST_TECHNIQUES,
        lambda pooled: -pooled_effects(report).index(pooled),
        what="techniques",
        first="the settled ones before the others, and of those the surest",
        table="pooled",
    )
    shown, folded = _models(techniques)
    panels = [
        (sentence(short(one.technique)), _rows(one, [e for e in shown if e in one.effects])) for one in techniques
    ]
    comparisons = [effect.comparison for effect in shown]
    counts = [count for comparison in comparisons for count in (comparison.treated, comparison.baseline)]
    page, cut = forest(panels, report.margin, counts)
    verdicts = [pooled.verdict for pooled in pooled_effects(report)]
    tally = [f"{verdict} ({verdicts.count(verdict)})" for verdict in Verdict if verdict in verdicts]
    return Chart(
        name="effects",
        title="What each technique is worth",
        caption="Test accuracy with a technique minus without it, in percentage points: mean over all seeds "
        f"({seeds_words(counts)}) with its 95 % {interval_in_words(report.evidence)}, pale every seed that both have. "
        "Bold is the average over the models that follow, each counting alike. Helps, hurts and equivalent hold for "
        "all bold lines together, and for all lines of models together. Differences in the shaded margin, up to "
        f"{margin_points(report.margin)} points, are too small to matter."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(max(counts) > MOST_SEEDS, f"Dots are of the first {MOST_SEEDS} seeds.")
        + remark(cut, "An arrow ends an interval that goes on past 100 points.")
        + folded
        + fewer,
        alt=f"What {plural(len(verdicts), 'technique')} add{'s' * (len(verdicts) == 1)} to test accuracy, by verdict: "
        f"{listed(tally)}.",
        figure=page,
    )


def _models(techniques: Sequence[Pooled]) -> tuple[list[Effect], str]:
    """The effects that have a row of their own: as many of each technique as there is room for."""
    several = [effect for pooled in techniques if len(pooled.effects) > 1 for effect in pooled.effects]
    each = max(1, (MOST_ROWS - len(techniques)) // max(1, sum(len(pooled.effects) > 1 for pooled in techniques)))
    alone = [pooled.effects[0] for pooled in techniques if len(pooled.effects) == 1]
    kept = {id(effect) for pooled in techniques for effect in sorted(pooled.effects, key=sureness, reverse=True)[:each]}
    shown = [effect for effect in several if id(effect) in kept]
    if len(shown) == len(several):
        return alone + shown, ""
    return alone + shown, (
        f" Shown are {len(shown):,} of {len(several):,} lines of models, the surest of each technique; "
        "tables/effects.csv beside the charts has them all."
    )


def _rows(pooled: Pooled, own: Sequence[Effect]) -> list[Row]:
    models = [
        Row(e.architecture, e.comparison.difference, e.verdict, False, e.comparison.shared, _details(e)) for e in own
    ]
    if len(pooled.effects) == 1:
        return [replace(row, strong=True) for row in models]
    details = f"The mean over {len(pooled.effects)} models."
    return [Row("average", pooled.difference, pooled.verdict, strong=True, details=details), *models]


def _details(effect: Effect) -> str:
    rates = f" {sentence(effect.at_rates)}." if effect.at_rates else ""
    return f"{seeds_of(effect.comparison.treated, effect.comparison.baseline)}.{rates}"
