"""Accuracy against what it costs."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.report.report import Report
from bench.report.sections.cells.results import CellResult, cell_results, preset_results
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_NAMES, fold
from bench.report.show.style import (
    GREY,
    INK,
    PALE,
    draw_interval,
    figure,
    model_look,
    name_accuracies,
    remark,
    seeds_words,
    stretch_if_wide,
)
from bench.report.show.words import count, few, percent, plural

# How far apart, as a share of the axis, cells of the same cost are set.
_APART = 0.011

# With more cells they have no room for intervals; more presets have none for their names.
_CROWDED = 60
_MOST_WRITTEN = 6

# Colour and marker by model, and those of the models beyond the first MOST_NAMES.
_Looks = dict[str, tuple[str, str]]
_NO_LOOK = (PALE, "o")


def draw(report: Report) -> Chart:
    """Accuracy against parameters and, where it was timed, against training throughput."""
    results = cell_results(report)
    timed = [result for result in results if not math.isnan(result.cost.train_speed)]
    crowded = len(results) > _CROWDED
    looks = _looks(results)
    page = figure(3.9)
    panels = page.subplots(1, 2 if timed else 1, sharey=True, squeeze=False)[0]
    stretched = stretch_if_wide(panels[0], "y", [result.accuracy for result in results])
    draw_panel = partial(_draw_crowd if crowded else _draw_panel, looks=looks)
    cut = draw_panel(panels[0], results, [result.cost.parameters for result in results], less=True)
    panels[0].set(xlabel="parameters", ylabel="test accuracy (%)")
    if timed:
        cut |= draw_panel(panels[1], timed, [result.cost.train_speed for result in timed], less=False)
        panels[1].set_xlabel("training throughput (images/s)")
    if stretched:
        name_accuracies(panels[0], "y", 0.05)
    page.legend(handles=_key(looks), loc="outside lower center", ncols=4)
    counts = [result.accuracy.n for result in results]
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
        + ". Up is better"
        + (", and so is left in the first panel and right in the second" if timed else ", and so is left")
        + "."
        + remark(not crowded, "Cells that cost the same stand side by side, slightly apart.")
        + remark(
            crowded,
            "So many cells leave no room for their intervals: tables/cells.csv beside the charts has them. The line "
            "joins the cells than which none is both better and cheaper.",
        )
        + remark(grey > 0, f"The {MOST_NAMES} models with the best cells have a colour, {plural(grey, 'other')} none.")
        + remark(1 in counts and not crowded, "One seed gives no interval.")
        + remark(stretched, "The axis of accuracy widens towards 100 %.")
        + remark(cut, "An arrow ends an interval that goes on past 0 or 100 %."),
        alt=f"Accuracy against cost: {few(presets)}." if presets else "Accuracy against cost, cell by cell.",
        figure=page,
    )


def _looks(results: Sequence[CellResult]) -> _Looks:
    """The colour and marker of each model that has one of its own."""
    best: dict[str, float] = {}
    for result in results:
        name = result.cell.architecture
        best[name] = max(best.get(name, 0.0), result.accuracy.mean)
    named, _ = fold(list(best), MOST_NAMES, best.__getitem__, what="models", first="the best")
    return {name: model_look(name) for name in named}


def _draw_panel(
    axes: Axes, results: Sequence[CellResult], costs: Sequence[float], *, looks: _Looks, less: bool
) -> bool:
    """Every cell with its interval. Returns whether one was cut."""
    del less  # which way is better shows without a line
    _prepare(axes)
    cut = [_draw_cell(axes, *pair, looks) for pair in zip(results, _side_by_side(costs), strict=True)]
    presets = [pair for pair in zip(results, costs, strict=True) if pair[0].is_preset]
    middle = (min(costs) + max(costs)) / 2
    for result, cost in presets if len(presets) <= _MOST_WRITTEN else []:
        _write_name(axes, result, cost, leftward=cost > middle)
    return any(cut)


def _draw_crowd(
    axes: Axes, results: Sequence[CellResult], costs: Sequence[float], *, looks: _Looks, less: bool
) -> bool:
    """Every cell as a mark where it lies, and the line of those that no other beats; no interval, so none is cut."""
    _prepare(axes)
    means = [result.accuracy.mean * 100 for result in results]
    groups: dict[tuple[str, str, bool], list[tuple[float, float]]] = {}
    for result, cost, mean in zip(results, costs, means, strict=True):
        look = looks.get(result.cell.architecture, _NO_LOOK)
        groups.setdefault((*look, result.is_preset), []).append((cost, mean))
    for (colour, marker, preset), places in groups.items():
        size, alpha, zorder = (8, 1.0, 5) if preset else (3.5, 0.6, 2 if colour == PALE else 3)
        edge = GREY if colour == PALE else "white"
        [marks] = axes.plot(*zip(*places, strict=True), marker, color=colour, mec=edge, mew=0.4)
        marks.set(markersize=size, alpha=alpha, zorder=zorder)
    front, best = [], -math.inf
    for cost, mean in sorted(
        zip(costs, means, strict=True), key=lambda place: (place[0] * (1 if less else -1), -place[1])
    ):
        if mean > best:
            front.append((cost, mean))
            best = mean
    axes.plot(*zip(*front, strict=True), color=INK, linewidth=0.9, drawstyle="steps-post", zorder=4)
    return False


def _prepare(axes: Axes) -> None:
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def _draw_cell(axes: Axes, result: CellResult, place: float, looks: _Looks) -> bool:
    colour, marker = looks.get(result.cell.architecture, _NO_LOOK)
    size, width, zorder = (10, 1.8, 5) if result.is_preset else (4.5, 0.7, 4)
    mean = result.accuracy.mean * 100
    axes.plot([place], [mean], marker, color=colour, markersize=size, mec="white", mew=0.7, zorder=zorder)
    return draw_interval(axes, result.accuracy, place, vertical=True, colour=colour, width=width)


def _write_name(axes: Axes, result: CellResult, cost: float, *, leftward: bool) -> None:
    text = axes.annotate(
        result.cell.architecture,
        (cost, result.accuracy.mean * 100),
        (-8 if leftward else 8, 5),
        textcoords="offset points",
        ha="right" if leftward else "left",
        fontweight="bold",
        zorder=6,
    )
    text.set_color(model_look(result.cell.architecture)[0])
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _side_by_side(costs: Sequence[float]) -> list[float]:
    """The costs, with equal ones moved apart; the first of them, a preset if there is one, keeps its place."""
    step = _APART * ((max(costs) - min(costs)) or max(costs))
    seen: Counter[float] = Counter()
    places = []
    for cost in costs:
        places.append(cost + (seen[cost] + 1) // 2 * (step if seen[cost] % 2 else -step))
        seen[cost] += 1
    return places


def _key(looks: _Looks) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, linewidth=0, label=name) for name, (colour, marker) in looks.items()
    ]
