"""Forest plot of what each technique is worth."""

from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.report.report import Report
from bench.report.sections.effects.measured import Effect, effects, sureness
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_ROWS, fold
from bench.report.show.style import (
    EQUAL,
    GAIN,
    GREY,
    INK,
    LOSS,
    MOST_SEEDS,
    PALE,
    SMALL,
    draw_interval,
    figure,
    lanes,
    percent,
    remark,
    seeds_words,
    short,
)
from bench.report.show.words import listed, points, points_interval
from bench.report.stats.verdict import Verdict

# A grey that is read as text: 5 to 1 against white.
_UNSETTLED = "#6e6e6e"

_LOOKS = {
    Verdict.HELPS: (GAIN, "^"),
    Verdict.HURTS: (LOSS, "v"),
    Verdict.EQUIVALENT: (EQUAL, "s"),
    Verdict.TENTATIVE: (INK, "D"),
    Verdict.INCONCLUSIVE: (_UNSETTLED, "o"),
}


def draw(report: Report) -> Chart | None:
    """One row per technique and model; None where no technique was switched."""
    if not effects(report):
        return None
    shown, folded = fold(
        effects(report),
        MOST_ROWS,
        sureness,
        what="comparisons",
        first="the settled ones before the others, and of those the surest",
        table="effects",
    )
    groups = [(name, list(effects)) for name, effects in groupby(shown, key=lambda effect: effect.architecture)]
    rows = [len(effects) for _, effects in groups]
    page = figure(0.31 * sum(rows) + 0.3 * len(groups) + 0.8)
    panels = page.subplots(len(groups), sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    cut = [_draw_model(report, axes, *group) for axes, group in zip(panels, groups, strict=True)]
    panels[-1].set_xlabel("difference in test accuracy (percentage points)")
    comparisons = [effect.comparison for effect in shown]
    counts = [count for comparison in comparisons for count in (comparison.treated, comparison.baseline)]
    page.legend(handles=_key(), loc="outside lower center", ncols=3)
    verdicts = [effect.verdict for effect in effects(report)]
    tally = [f"{verdict} ({verdicts.count(verdict)})" for verdict in Verdict if verdict in verdicts]
    return Chart(
        name="effects",
        title="What each technique is worth",
        caption="A model with a technique minus the same model without it, over all seeds of both "
        f"({seeds_words(counts)}): mean, 95 % t interval and, pale, every seed that both have. Helps, hurts and "
        "equivalent hold for all rows together, tentative only for a row alone. One of the two is the model's preset. "
        f"Differences within the shaded margin of {report.margin * 100:g} points are too small to matter."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(max(counts) > MOST_SEEDS, f"Dots are of the first {MOST_SEEDS} seeds.")
        + remark(any(cut), "An arrow ends an interval that goes on past 100 points.")
        + folded,
        alt=f"The differences in test accuracy that techniques make in {len(verdicts)} comparisons, by verdict: "
        f"{listed(tally)}.",
        figure=page,
    )


def _draw_model(report: Report, axes: Axes, architecture: str, effects: list[Effect]) -> bool:
    """One model's panel. Returns whether an interval was cut."""
    margin = report.margin * 100
    axes.set_title(architecture)
    axes.axvspan(-margin, margin, color=PALE, linewidth=0, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.grid()
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(effects)), [_name(effect) for effect in effects])
    for label in axes.get_yticklabels():
        if "\n" in label.get_text():
            label.set_fontsize(SMALL)
    axes.set_ylim(len(effects) - 0.5, -0.5)
    cut = [_draw_effect(axes, row, effect) for row, effect in enumerate(effects)]
    return any(cut)


def _name(effect: Effect) -> str:
    name = short(effect.technique).replace(" instead of ", "\ninstead of ")
    return f"{name}\n{effect.at_rates}" if effect.at_rates else name


def _draw_effect(axes: Axes, row: int, effect: Effect) -> bool:
    colour, marker = _LOOKS[effect.verdict]
    difference = effect.comparison.difference
    seeds = percent(effect.comparison.shared[:MOST_SEEDS])
    axes.scatter(seeds, row + lanes(len(seeds)), s=9, color=colour, alpha=0.45, linewidth=0, zorder=2)
    cut = draw_interval(axes, difference, row, limits=(-100, 100), colour=colour)
    axes.plot([difference.mean * 100], [row], marker, color=colour, markersize=6, zorder=4)
    interval = points_interval(difference.low, difference.high)
    numbers = points(difference.mean) + (f"  ({interval})" if interval else "")
    _write(axes, row, 5, effect.verdict, color=colour, fontweight="bold")
    _write(axes, row, 68, numbers)
    return cut


def _write(axes: Axes, row: int, offset: float, text: str, **look: Any) -> None:
    """Text at the right of a row, `offset` points from the axes."""
    place = (1, row), (offset, 0), axes.get_yaxis_transform(), "offset points"
    axes.annotate(text, *place, va="center_baseline", fontsize=SMALL, annotation_clip=False, **look)


def _key() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=INK, marker="o", markersize=6, label="mean, 95 % interval"),
        Line2D([], [], color=GREY, marker="o", markersize=3, linewidth=0, label="one seed"),
        Patch(color=PALE, linewidth=0, label="too small to matter"),
    ]
