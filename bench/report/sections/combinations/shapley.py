"""Waterfalls from one model's accuracy to the next one's."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill

from matplotlib.axes import Axes

from bench.report.report import Report
from bench.report.sections.combinations.attributions import Attribution, attributions
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, fold
from bench.report.show.style import (
    GAIN,
    GREY,
    INK,
    LOSS,
    SMALL,
    draw_interval,
    figure,
    remark,
    seeds_words,
    short,
)
from bench.report.show.words import listed, percent, points, points_interval, sentence
from bench.report.stats.estimate import Estimate


@dataclass(frozen=True)
class _Step:
    """A bar of a waterfall: `share` on top of `start`, an accuracy. `technique` is False for the layers."""

    name: str
    share: Estimate
    start: float
    technique: bool


def draw(report: Report) -> Chart | None:
    """One waterfall per attribution; None where there is none."""
    if not attributions(report):
        return None
    shown, folded = fold(
        attributions(report),
        MOST_PANELS // 2,
        lambda attribution: sum(share.mean for share in attribution.shares.values()),
        what="pairs of models",
        first="those with the largest gains",
        table="attribution",
    )
    waterfalls = [list(_steps(attribution)) for attribution in shown]
    rows = [len(steps) + 2 for steps in waterfalls]
    page = figure(0.31 * sum(rows) + 0.75 * len(rows))
    panels = page.subplots(len(rows), squeeze=False, height_ratios=rows)[:, 0]
    cut = [_draw_waterfall(*parts) for parts in zip(panels, shown, waterfalls, strict=True)]
    counts = [step.share.n for steps in waterfalls for step in steps]
    layers = any(attribution.layers is not None for attribution in shown)
    return Chart(
        name="shapley",
        title="Who earned the gain",
        caption="From one preset's test accuracy to the next one's: each technique's gain, averaged over all orders of "
        "adding them (Shapley) on the first one's layers, with its 95 % t interval around the end of its "
        f"bar, over all seeds of every combination ({seeds_words(counts)})."
        + remark(layers, "Hatched: what the other layers add.")
        + remark(any(cut), "An arrow ends an interval that goes on past 0 or 100 %.")
        + folded,
        alt=sentence("; ".join(_in_words(*pair) for pair in zip(shown, waterfalls, strict=True))) + ".",
        figure=page,
    )


def _steps(attribution: Attribution) -> Iterator[_Step]:
    accuracy = attribution.start_accuracy
    for name, share in attribution.shares_in_words.items():
        yield _Step(short(name), share, accuracy, technique=True)
        accuracy += share.mean
    if attribution.layers is not None:
        yield _Step("other layers (no technique)", attribution.layers, accuracy, technique=False)


def _draw_waterfall(axes: Axes, attribution: Attribution, steps: list[_Step]) -> bool:
    """Returns whether an interval was cut."""
    axes.use_sticky_edges = False  # bars would pull the axis' end to their own
    end = steps[-1].start + steps[-1].share.mean
    cut = [_draw_step(axes, row, step) for row, step in enumerate(steps, start=1)]
    for row, accuracy in ((0, attribution.start_accuracy), (len(steps) + 1, end)):
        axes.plot([accuracy * 100], [row], "D", color=INK, markersize=6, zorder=4)
        _write(axes, row, percent(accuracy), bold=True)
    last = attribution.end
    if attribution.layers is None:
        last = f"{last}'s techniques on {attribution.start}'s layers"
    names = [attribution.start, *(step.name for step in steps), last]
    axes.grid()
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(names)), [fill(name, 30) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("test accuracy (%)")
    return any(cut)


def _draw_step(axes: Axes, row: int, step: _Step) -> bool:
    gain = step.share.mean
    colour = (GAIN if gain >= 0 else LOSS) if step.technique else GREY
    before, after = step.start * 100, (step.start + gain) * 100
    look = (
        {"color": colour, "alpha": 0.55} if step.technique else {"color": "white", "edgecolor": GREY, "hatch": "////"}
    )
    axes.barh(row, after - before, left=before, height=0.56, zorder=2, **look)
    axes.plot([before, before], [row - 1, row + 0.28], color=GREY, linewidth=0.8, zorder=1)
    axes.plot([after, after], [row - 0.28, row + 1], color=GREY, linewidth=0.8, zorder=1)
    interval = points_interval(step.share.low, step.share.high)
    _write(axes, row, points(gain) + (f"  ({interval})" if interval else ""))
    return draw_interval(axes, step.share.shifted(step.start), row)


def _write(axes: Axes, row: int, text: str, *, bold: bool = False) -> None:
    axes.annotate(
        text,
        (1, row),
        (5, 0),
        axes.get_yaxis_transform(),
        "offset points",
        va="center_baseline",
        fontsize=SMALL,
        fontweight="bold" if bold else "normal",
        annotation_clip=False,
    )


def _in_words(attribution: Attribution, steps: list[_Step]) -> str:
    shares = listed([f"{step.name} {points(step.share.mean)}" for step in steps])
    return f"from {attribution.start} to {attribution.end}, in points: {shares}"
