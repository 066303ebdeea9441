"""Accuracy and calibration of ensembles by their number of seeds."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.report.report import Report
from bench.report.sections.ensembles.results import EnsembleResult, ensemble_results
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_NAMES, fold
from bench.report.show.style import draw_interval, figure, model_look, range_words, remark
from bench.report.show.words import few, percent
from bench.report.stats.ensembles import Ensembles
from bench.report.stats.estimate import Estimate


def draw(report: Report) -> Chart | None:
    """Two panels, a line a preset; None where of no preset ensembles were recorded."""
    results = [result for result in ensemble_results(report) if result.cell.is_preset]
    if not results:
        return None
    chosen, folded = fold(results, MOST_NAMES, _best, what="models", first="the best", table="ensembles")
    groups = sorted({one.accuracy.n for result in chosen for one in result.by_size})
    page = figure(2.9)
    accuracy, calibration = page.subplots(1, 2)
    cut = [
        _draw_panel(accuracy, chosen, lambda one: one.accuracy),
        _draw_panel(calibration, chosen, lambda one: one.calibration_error),
    ]
    accuracy.set(title="Accuracy", ylabel=f"test accuracy (%), {range_words(groups, 'group')}")
    calibration.set(title="Calibration", ylabel="calibration error (points)")
    page.legend(handles=[_key(result.cell.architecture) for result in chosen], loc="outside lower center", ncols=4)
    return Chart(
        name="ensembles",
        title="Ensembles of seeds",
        caption="Probabilities averaged over so many seeds of a model at its preset: means over "
        f"{range_words(groups, 'disjoint group')} with their 95 % t intervals. "
        "Parameters and inference time grow with the number of seeds."
        + remark(groups[0] == 1, "One group gives no interval.")
        + remark(any(cut), "An arrow ends an interval that goes on past 0 or 100 %.")
        + folded,
        alt=f"Accuracy by the number of seeds in an ensemble: {few([_in_words(result) for result in chosen])}.",
        figure=page,
    )


def _best(result: EnsembleResult) -> float:
    return max(one.accuracy.mean for one in result.by_size)


def _draw_panel(axes: Axes, results: Sequence[EnsembleResult], measure: Callable[[Ensembles], Estimate]) -> bool:
    """Returns whether an interval was cut."""
    cut = False
    axes.set_xscale("log", base=2)
    sizes = sorted({one.size for result in results for one in result.by_size})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("seeds in an ensemble")
    axes.grid(axis="y")
    for place, result in enumerate(results):
        colour, marker = model_look(result.cell.architecture)
        # Beside each other, so that intervals of several models can be told apart.
        aside = 2 ** (0.06 * (place - (len(results) - 1) / 2))
        places = [one.size * aside for one in result.by_size]
        means = [measure(one).mean * 100 for one in result.by_size]
        axes.plot(places, means, marker=marker, color=colour, linewidth=1.4, markersize=5, zorder=4)
        for at, one in zip(places, result.by_size, strict=True):
            cut |= draw_interval(axes, measure(one), at, vertical=True, colour=colour, width=1.2)
    return cut


def _key(name: str) -> Line2D:
    colour, marker = model_look(name)
    return Line2D([], [], color=colour, marker=marker, linewidth=1.4, label=name)


def _in_words(result: EnsembleResult) -> str:
    first, last = result.by_size[0], result.by_size[-1]
    return (
        f"{result.cell.architecture} {percent(first.accuracy.mean)} alone and {percent(last.accuracy.mean)} with "
        f"{last.size} seeds"
    )
