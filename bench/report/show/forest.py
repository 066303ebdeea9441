"""Forest plots: a row for each difference, with its interval, its verdict and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.report.show.style import (
    EQUAL,
    GAIN,
    GREY,
    INK,
    LOSS,
    MOST_SEEDS,
    PALE,
    SMALL,
    SOFT,
    draw_interval,
    figure,
    hover,
    lanes,
    percent,
    seeds_words,
)
from bench.report.show.words import points, points_interval
from bench.report.stats.estimate import Estimate
from bench.report.stats.verdict import Verdict

# A verdict is told by its mark and its word as well as by its colour.
_LOOKS = {
    Verdict.HELPS: (GAIN, "^"),
    Verdict.HURTS: (LOSS, "v"),
    Verdict.EQUIVALENT: (EQUAL, "s"),
    Verdict.TENTATIVE: (INK, "D"),
    Verdict.INCONCLUSIVE: (SOFT, "o"),
}


@dataclass(frozen=True)
class Row:
    """A difference, a fraction. `verdict` is None where none was asked for; a row that is `strong` sums up those below
    it; `seeds` are drawn pale; `details` are shown where the pointer rests."""

    name: str
    difference: Estimate
    verdict: Verdict | None = None
    strong: bool = False
    seeds: Sequence[float] = field(default=())
    details: str = ""


def forest(panels: Sequence[tuple[str, Sequence[Row]]], margin: float, counts: Sequence[int]) -> tuple[Figure, bool]:
    """A panel for each title and its rows, all on one axis in points, and whether an interval was cut. `margin` is
    shaded; `counts` are the numbers of seeds."""
    heights = [len(rows) * (0.3 if any("\n" in row.name for row in rows) else 0.21) for _, rows in panels]
    page = figure(sum(heights) + 0.27 * len(panels) + 0.85)
    axes = page.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    cut = [_draw_panel(*parts, margin * 100) for parts in zip(axes, panels, strict=True)]
    axes[-1].set_xlabel(f"difference in test accuracy (points), {seeds_words(counts)}")
    everything = [row for _, rows in panels for row in rows]
    page.legend(handles=_key(everything, margin), loc="outside lower center", ncols=3)
    return page, any(cut)


def _draw_panel(axes: Axes, panel: tuple[str, Sequence[Row]], margin: float) -> bool:
    title, rows = panel
    axes.set_title(title)
    axes.axvspan(-margin, margin, color=PALE, linewidth=0, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.grid()
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.strong else "normal")
        if "\n" in row.name:
            label.set_fontsize(SMALL)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    cut = [_draw_row(axes, place, row) for place, row in enumerate(rows)]
    return any(cut)


def _draw_row(axes: Axes, place: int, row: Row) -> bool:
    colour, marker = (INK, "o") if row.verdict is None else _LOOKS[row.verdict]
    difference = row.difference
    seeds = percent(row.seeds[:MOST_SEEDS])
    axes.scatter(seeds, place + lanes(len(seeds)), s=6, color=colour, alpha=0.4, linewidth=0, zorder=2)
    width = 2.6 if row.strong else 1.5
    cut = draw_interval(axes, difference, place, limits=(-100, 100), colour=colour, width=width)
    size = 8.5 if row.strong else 6
    [mark] = axes.plot([difference.mean * 100], [place], marker, color=colour, markersize=size, zorder=4)
    interval = points_interval(difference.low, difference.high)
    numbers = points(difference.mean) + (f" ({interval})" if interval else "")
    hover(mark, f"{row.name.replace(chr(10), ' ')}: {numbers} points. {row.details}".strip())
    weight = "bold" if row.strong else "normal"
    if row.verdict is not None:
        _write(axes, place, 4, row.verdict, color=colour, fontweight=weight)
    _write(axes, place, 4 if row.verdict is None else 64, numbers, fontweight=weight)
    return cut


def _write(axes: Axes, place: int, offset: float, text: str, **look: Any) -> None:
    """Text at the right of a row, `offset` points from the axes."""
    where = (1, place), (offset, 0), axes.get_yaxis_transform(), "offset points"
    axes.annotate(text, *where, va="center_baseline", fontsize=SMALL, annotation_clip=False, **look)


def _key(rows: Sequence[Row], margin: float) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=INK, marker="o", markersize=5, label="mean, 95 % interval"),
        Line2D([], [], color=GREY, marker="o", markersize=3, linewidth=0, label="one seed"),
        Patch(color=PALE, linewidth=0, label="too small to matter"),
    ]
    return [
        handle
        for handle, shown in zip(handles, (True, any(len(row.seeds) for row in rows), margin > 0), strict=True)
        if shown
    ]
