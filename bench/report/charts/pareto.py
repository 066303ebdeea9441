"""Accuracy against what it costs."""

import math
from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.report.analysis import Analysis, CellResult
from bench.report.charts.chart import Chart
from bench.report.charts.style import (
    draw_interval,
    figure,
    model_look,
    name_accuracies,
    remark,
    seeds_words,
    stretch_if_wide,
)
from bench.report.words import count, listed, percent

# How far apart, as a share of the axis, cells of the same cost are set.
_APART = 0.011


def draw(analysis: Analysis) -> Chart:
    """Accuracy against parameters and, where it was timed, against training throughput."""
    results = analysis.cells
    timed = [result for result in results if not math.isnan(result.cost.train_speed)]
    page = figure(3.9)
    panels = page.subplots(1, 2 if timed else 1, sharey=True, squeeze=False)[0]
    stretched = stretch_if_wide(panels[0], "y", results)
    cut = _draw_panel(panels[0], results, [result.cost.parameters for result in results])
    panels[0].set(xlabel="parameters", ylabel="test accuracy (%)")
    if timed:
        cut |= _draw_panel(panels[1], timed, [result.cost.train_speed for result in timed])
        panels[1].set_xlabel("training throughput (images/s)")
    if stretched:
        name_accuracies(panels[0], "y", 0.05)
    names = list(dict.fromkeys(result.cell.architecture for result in results))
    page.legend(handles=_key(names), loc="outside lower center", ncols=4)
    counts = [result.accuracy.n for result in results]
    presets = [
        f"{result.cell.architecture} {percent(result.accuracy.mean)} with {count(result.cost.parameters)} parameters"
        for result in analysis.presets
    ]
    return Chart(
        name="pareto",
        title="Accuracy against size and speed" if timed else "Accuracy against size",
        caption="One mark per cell, the large ones the published models: mean test accuracy over seeds "
        f"({seeds_words(counts)}) with its 95 % t interval. Up is better"
        + (", and so is left in the first panel and right in the second" if timed else ", and so is left")
        + ". Cells that cost the same stand side by side, slightly apart."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(stretched, "The axis of accuracy widens towards 100 %.")
        + remark(cut, "An arrow ends an interval that goes on past 0 or 100 %."),
        alt=f"Accuracy against cost: {listed(presets)}." if presets else "Accuracy against cost, cell by cell.",
        figure=page,
    )


def _draw_panel(axes: Axes, results: Sequence[CellResult], costs: Sequence[float]) -> bool:
    """Returns whether an interval was cut."""
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    cut = [_draw_cell(axes, *pair) for pair in zip(results, _side_by_side(costs), strict=True)]
    middle = (min(costs) + max(costs)) / 2
    for result, cost in zip(results, costs, strict=True):
        if result.is_preset:
            _write_name(axes, result, cost, leftward=cost > middle)
    return any(cut)


def _draw_cell(axes: Axes, result: CellResult, place: float) -> bool:
    colour, marker = model_look(result.cell.architecture)
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


def _key(names: Sequence[str]) -> list[Line2D]:
    looks = [(name, *model_look(name)) for name in names]
    return [Line2D([], [], color=colour, marker=marker, linewidth=0, label=name) for name, colour, marker in looks]
