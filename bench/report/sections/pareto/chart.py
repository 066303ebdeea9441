"""Accuracy against what it costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.report.report import Report
from bench.report.sections.cells.results import CellResult, cell_results, preset_results
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_NAMES, fold
from bench.report.show.style import (
    GREY,
    INK,
    PALE,
    SMALL,
    draw_interval,
    figure,
    hover,
    model_look,
    name_accuracies,
    remark,
    seeds_words,
    spread,
    stretch_if_wide,
)
from bench.report.show.words import count, few, percent, plural

# With more cells they have no room for intervals; of more marks on the frontier the best are named.
_CROWDED, _MOST_NAMED = 60, 8

# How far apart names are, as a share of the axis, and how many letters there is room for.
_GAP, _LONGEST = 0.075, 34


@dataclass(frozen=True)
class Panel:
    """What accuracy is drawn against: a cost by cell, its name, and whether less of it is better."""

    name: str
    places: Sequence[tuple[CellResult, float]]
    less: bool

    @property
    def front(self) -> list[tuple[CellResult, float]]:
        """The cells than which none is both better and cheaper, the cheapest first."""
        sign = 1 if self.less else -1
        front: list[tuple[CellResult, float]] = []
        for result, cost in sorted(self.places, key=lambda place: (sign * place[1], -place[0].accuracy.mean)):
            if not front or result.accuracy.mean > front[-1][0].accuracy.mean:
                front.append((result, cost))
        return front


def draw(report: Report) -> Chart:
    """Accuracy against parameters and, where it was timed, against training throughput."""
    results = cell_results(report)
    timed = [(result, result.cost.train_speed) for result in results if not math.isnan(result.cost.train_speed)]
    panels = [Panel("parameters", [(result, result.cost.parameters) for result in results], less=True)]
    if timed:
        panels.append(Panel("training throughput (images/s)", timed, less=False))
    crowded = len(results) > _CROWDED
    looks = _looks(results)
    counts = [result.accuracy.n for result in results]
    page = figure(2.9 * len(panels) + 0.6)
    axes = page.subplots(len(panels), sharey=True, squeeze=False)[:, 0]
    stretched = stretch_if_wide(axes[0], "y", [result.accuracy for result in results])
    cut = [_draw_panel(*pair, looks, crowded=crowded) for pair in zip(axes, panels, strict=True)]
    for own, panel in zip(axes, panels, strict=True):
        if stretched:
            name_accuracies(own, "y", 0.05)
        own.set_ylabel(f"test accuracy (%), {seeds_words(counts)}")
        _name_front(own, panel)
    page.legend(handles=_key(looks), loc="outside lower center", ncols=4)
    presets = [
        f"{result.cell.architecture} {percent(result.accuracy.mean)} with {count(result.cost.parameters)} parameters"
        for result in preset_results(report)
    ]
    grey = len({result.cell.architecture for result in results}) - MOST_NAMES
    return Chart(
        name="pareto",
        title="Accuracy against size and speed" if timed else "Accuracy against size",
        caption="One mark per cell, the large ones the presets: mean test accuracy over seeds "
        f"({seeds_words(counts)})"
        + ("" if crowded else " with its 95 % t interval")
        + ". The line joins the cells than which none is both better and cheaper, by their means; they are named at "
        "the right. Intervals that overlap leave open which cell is the better one."
        + remark(crowded, "So many cells leave no room for intervals: tables/cells.csv has them.")
        + remark(grey > 0, f"The {MOST_NAMES} models with the best cells have a colour, {plural(grey, 'other')} none.")
        + remark(1 in counts and not crowded, "One seed gives no interval.")
        + remark(stretched, "The axis of accuracy widens towards 100 % (logit).")
        + remark(any(cut), "An arrow ends an interval that goes on past 0 or 100 %."),
        alt=f"Accuracy against cost: {few(presets)}." if presets else "Accuracy against cost, cell by cell.",
        figure=page,
    )


def _looks(results: Sequence[CellResult]) -> dict[str, tuple[str, str]]:
    """The colour and marker of each model that has one of its own."""
    best: dict[str, float] = {}
    for result in results:
        name = result.cell.architecture
        best[name] = max(best.get(name, 0.0), result.accuracy.mean)
    named, _ = fold(list(best), MOST_NAMES, best.__getitem__, what="models", first="the best")
    return {name: model_look(name) for name in named}


def _draw_panel(axes: Axes, panel: Panel, looks: dict[str, tuple[str, str]], *, crowded: bool) -> bool:
    """Every cell where it lies, and the frontier. Returns whether an interval was cut."""
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.set_xlabel(panel.name)
    cut = False
    for result, cost in panel.places:
        colour, marker = looks.get(result.cell.architecture, (PALE, "o"))
        size, zorder = (9, 5) if result.is_preset else (4, 4)
        edge = GREY if colour == PALE else "white"
        mean = result.accuracy.mean * 100
        [mark] = axes.plot([cost], [mean], marker, color=colour, markersize=size, mec=edge, mew=0.6, zorder=zorder)
        mark.set_alpha(0.85)
        if not crowded:
            hover(mark, f"{result.cell.label}: {percent(result.accuracy.mean)}, {panel.name} {count(cost)}")
            width = 1.6 if result.is_preset else 0.6
            cut |= draw_interval(axes, result.accuracy, cost, vertical=True, colour=colour, width=width)
    places = [(cost, result.accuracy.mean * 100) for result, cost in panel.front]
    axes.plot(*zip(*places, strict=True), color=INK, linewidth=0.9, drawstyle="steps-post", zorder=3)
    return cut


def _name_front(axes: Axes, panel: Panel) -> None:
    """The names of the frontier's cells beside the axes, each with a line to its mark."""
    named = sorted(panel.front, key=lambda place: place[0].accuracy.mean)[-_MOST_NAMED:]
    scale, (low, high) = axes.yaxis.get_transform(), axes.get_ylim()
    first, last = scale.transform([low, high])
    places = [(float(scale.transform([result.accuracy.mean * 100])[0]) - first) / (last - first) for result, _ in named]
    top = max(0.0, spread(places, _GAP)[-1] - 0.97)
    for (result, cost), place in zip(named, spread([place - top for place in places], _GAP), strict=True):
        axes.annotate(
            shorten(result.cell.label, _LONGEST, placeholder="\N{HORIZONTAL ELLIPSIS}"),
            (cost, result.accuracy.mean * 100),
            (1.03, place),
            textcoords="axes fraction",
            va="center",
            fontsize=SMALL,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
        )


def _key(looks: dict[str, tuple[str, str]]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, linewidth=0, label=name) for name, (colour, marker) in looks.items()
    ]
