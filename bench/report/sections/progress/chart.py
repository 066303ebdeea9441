"""Learning curves of the presets."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.report.report import Report
from bench.report.sections.progress.curves import Curve, preset_curves
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, fold
from bench.report.show.style import (
    GREY,
    INK,
    MOST_SEEDS,
    figure,
    model_look,
    name_accuracies,
    percent,
    remark,
    seeds_words,
    stretch,
)
from bench.report.show.words import few
from bench.report.show.words import percent as in_percent

_COLUMNS = 3


def draw(report: Report) -> Chart | None:
    """One panel per preset; None where no preset has epochs recorded."""
    if not preset_curves(report):
        return None
    curves, folded = fold(
        preset_curves(report),
        MOST_PANELS,
        lambda curve: float(curve.points["test"].iloc[-1]),
        what="models",
        first="those that end highest",
        table="progress",
    )
    counts = [curve.n for curve in curves]
    columns = min(len(curves), _COLUMNS)
    rows = -(-len(curves) // columns)
    page = figure(2.9 * rows + 0.5)
    panels = page.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    stretch(panels[0], "y")
    bounds = _bounds(curves)
    cut = [_draw_curve(axes, curve, bounds) for axes, curve in zip(panels, curves, strict=False)]
    name_accuracies(panels[0], "y", 0.06)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(f"accuracy (%), {seeds_words(counts)}")
    for axes in panels[: len(curves)]:
        axes.set_xlabel("epoch")
    page.legend(handles=_key(), loc="outside lower center", ncols=4)
    ends = [f"{curve.cell.architecture} {in_percent(float(curve.points['test'].iloc[-1]))}" for curve in curves]
    return Chart(
        name="curves",
        title="Learning curves of the presets",
        caption="Test accuracy after each epoch: mean, shaded its 95 % t interval, and thin lines for the seeds "
        f"({seeds_words(counts)}). Dashed: training accuracy, measured on distorted images while "
        "the weights move. The axis widens towards 100 %."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(max(counts) > MOST_SEEDS, f"Lines are of the first {MOST_SEEDS} seeds.")
        + remark(any(cut), "Intervals are cut where they reach far beyond the seeds.")
        + folded,
        alt=f"Test accuracy by epoch; the last epoch's means are {few(ends)}.",
        figure=page,
    )


def _bounds(curves: Sequence[Curve]) -> tuple[float, float]:
    """In percent half the lowest accuracy, and what is half as far from 100 as the highest: one seed among few that
    lags behind has an interval that would leave no room for the rest."""
    seen = percent(np.hstack([np.ravel(part) for curve in curves for part in (curve.seeds, curve.points["train"])]))
    return float(np.nanmin(seen)) / 2, (float(np.nanmax(seen)) + 100) / 2


def _draw_curve(axes: Axes, curve: Curve, bounds: tuple[float, float]) -> bool:
    """One model's panel, with intervals between the bounds. Returns whether one was cut."""
    colour, _ = model_look(curve.cell.architecture)
    points = curve.points
    axes.set_title(curve.cell.architecture)
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.plot(points.index, percent(curve.seeds.iloc[:, :MOST_SEEDS]), color=colour, linewidth=0.6, alpha=0.45)
    intervals = percent(points[["low", "high"]])
    drawn = np.clip(intervals, *bounds)
    axes.fill_between(points.index, *drawn.T, color=colour, alpha=0.2, linewidth=0)
    axes.plot(points.index, percent(points["test"]), color=colour, linewidth=2)
    axes.plot(points.index, percent(points["train"]), color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
    return bool((drawn != intervals).any())


def _key() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=GREY, linewidth=2, label="test, mean"),
        Patch(color=GREY, alpha=0.3, linewidth=0, label="95 % interval"),
        Line2D([], [], color=GREY, linewidth=0.6, label="test, one seed"),
        Line2D([], [], color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="training, mean"),
    ]
