"""Accuracy along axes of numbers: width, dropout, learning rate."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.report.report import Report
from bench.report.sections.sweeps.lines import Line, Sweep, sweeps
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_NAMES, MOST_PANELS, fold
from bench.report.show.style import INK, draw_interval, figure, model_look, remark, seeds_words
from bench.report.show.words import few, sentence
from bench.report.show.words import percent as in_percent

_COLUMNS = 2

# An axis whose values span so many times the smallest, or more, is logarithmic.
_WIDE = 8

# More values have no room for a name each.
_MOST_VALUES = 8


def draw(report: Report) -> Chart | None:
    """A panel per axis, a line per model; None where nothing was trained along one."""
    if not sweeps(report):
        return None
    chosen, folded = fold(
        sweeps(report),
        MOST_PANELS // 2,
        _moved,
        what="axes",
        first="those along which accuracy moves most",
        table="sweeps",
    )
    best: dict[str, float] = {}
    for sweep in chosen:
        for line in sweep.lines:
            best[line.architecture] = max(best.get(line.architecture, 0.0), line.best)
    named, fewer = fold(list(best), MOST_NAMES, best.__getitem__, what="models", first="the best", table="sweeps")
    counts = [accuracy.n for sweep in chosen for line in sweep.lines for _, accuracy in line.points]
    columns = min(len(chosen), _COLUMNS)
    rows = -(-len(chosen) // columns)
    page = figure(2.6 * rows + 0.25 * -(-len(named) // 4) + 0.3)
    panels = page.subplots(rows, columns, squeeze=False).flatten()
    cut = [_draw_sweep(axes, sweep, named) for axes, sweep in zip(panels, chosen, strict=False)]
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(f"test accuracy (%), {seeds_words(counts)}")
    page.legend(handles=[_key(name) for name in named], loc="outside lower center", ncols=4)
    return Chart(
        name="sweeps",
        title="Along an axis",
        caption="Mean test accuracy of a model at each value of one factor or of the protocol, all else as in its "
        f"preset, which is ringed, with its 95 % t interval over seeds ({seeds_words(counts)})."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(any(cut), "An arrow ends an interval that goes on past 0 or 100 %.")
        + folded
        + fewer,
        alt=f"Where models are best along an axis: {few([_in_words(sweep) for sweep in chosen])}.",
        figure=page,
    )


def _moved(sweep: Sweep) -> float:
    """The largest difference between two values of a line."""
    return max(line.best - min(accuracy.mean for _, accuracy in line.points) for line in sweep.lines)


def _draw_sweep(axes: Axes, sweep: Sweep, named: Sequence[str]) -> bool:
    """One panel. Returns whether an interval was cut."""
    lines = [line for line in sweep.lines if line.architecture in named]
    values = sorted({value for line in lines for value, _ in line.points})
    axes.set_title(sentence(sweep.axis))
    axes.grid(axis="both")
    if values and values[0] > 0 and values[-1] >= _WIDE * values[0]:
        axes.set_xscale("log")
    if len(values) <= _MOST_VALUES:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(sweep.axis)
    cut = [_draw_line(axes, line) for line in lines]
    return any(cut)


def _draw_line(axes: Axes, line: Line) -> bool:
    colour, marker = model_look(line.architecture)
    values = [value for value, _ in line.points]
    means = [accuracy.mean * 100 for _, accuracy in line.points]
    axes.plot(values, means, marker=marker, color=colour, linewidth=1.4, markersize=5, zorder=4)
    if line.preset in values:
        at = values.index(line.preset)
        axes.plot([values[at]], [means[at]], "o", color="none", mec=INK, markersize=10, mew=1.1, zorder=5)
    cut = [
        draw_interval(axes, accuracy, value, vertical=True, colour=colour, width=1.2) for value, accuracy in line.points
    ]
    return any(cut)


def _key(name: str) -> Line2D:
    colour, marker = model_look(name)
    return Line2D([], [], color=colour, marker=marker, linewidth=1.4, label=name)


def _in_words(sweep: Sweep) -> str:
    best = max(sweep.lines, key=lambda line: line.best)
    value, accuracy = max(best.points, key=lambda point: point[1].mean)
    return f"{sweep.axis} {value:g} ({best.architecture}, {in_percent(accuracy.mean)})"
