"""Accuracy of every cell, with every seed."""

from itertools import groupby

from matplotlib.axes import Axes

from bench.report.report import Report
from bench.report.sections.cells.results import CellResult, cell_results, preset_results
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_ROWS, fold
from bench.report.show.style import (
    INK,
    MOST_SEEDS,
    SMALL,
    cell_label,
    draw_interval,
    figure,
    lanes,
    model_look,
    name_accuracies,
    percent,
    remark,
    seeds_words,
    stretch_if_wide,
)
from bench.report.show.words import percent as in_percent
from bench.report.show.words import plural


def draw(report: Report) -> Chart:
    """One row per cell, grouped by model."""
    shown, folded = _most_telling(report)
    groups = [(name, list(results)) for name, results in groupby(shown, key=lambda r: r.cell.architecture)]
    rows = [len(results) for _, results in groups]
    page = figure(0.27 * sum(rows) + 0.3 * len(groups) + 0.55)
    panels = page.subplots(len(groups), sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    stretched = stretch_if_wide(panels[0], "x", [result.accuracy for result in shown])
    cut = [_draw_model(axes, *group) for axes, group in zip(panels, groups, strict=True)]
    if stretched:
        name_accuracies(panels[0], "x", 0.075)
    counts = [result.accuracy.n for result in shown]
    panels[-1].set_xlabel(f"test accuracy (%), {seeds_words(counts)}")
    worst, *_, best = sorted(cell_results(report) * 2, key=lambda result: result.accuracy.mean)
    return Chart(
        name="cells",
        title="Accuracy of every cell",
        caption="Test accuracy after the last epoch. A bar across marks the mean, a line its 95 % t interval, a dot "
        f"each seed ({seeds_words(counts)}). The bold row is the model's preset; the others say what differs from it."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(max(counts) > MOST_SEEDS, f"Dots are of the first {MOST_SEEDS} seeds.")
        + remark(stretched, "The axis widens towards 100 %.")
        + remark(any(cut), "An arrow ends an interval that goes on past 0 or 100 %.")
        + folded,
        alt=f"Mean test accuracies of {plural(len(report.evidence.cells), 'cell')}, from "
        f"{in_percent(worst.accuracy.mean)} ({worst.cell.label}) to {in_percent(best.accuracy.mean)} "
        f"({best.cell.label}).",
        figure=page,
    )


def _most_telling(report: Report) -> tuple[list[CellResult], str]:
    """The presets, as far as half of the rows go, and the best of the other cells."""
    presets = sorted(preset_results(report), key=lambda result: result.accuracy.mean, reverse=True)
    kept = {result.cell for result in presets[: MOST_ROWS // 2]}
    return fold(
        cell_results(report),
        MOST_ROWS,
        lambda result: (result.cell in kept, result.accuracy.mean),
        what="cells",
        first="the best of the presets and of the other cells",
        table="cells",
    )


def _draw_model(axes: Axes, architecture: str, results: list[CellResult]) -> bool:
    """One model's panel. Returns whether an interval was cut."""
    axes.set_title(architecture)
    axes.grid()
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(results)), [cell_label(result.cell) for result in results])
    axes.set_ylim(len(results) - 0.5, -0.5)
    for label, result in zip(axes.get_yticklabels(), results, strict=True):
        label.set_fontweight("bold" if result.is_preset else "normal")
        if "\n" in label.get_text():
            label.set_fontsize(SMALL)
    cut = [_draw_cell(axes, row, result) for row, result in enumerate(results)]
    return any(cut)


def _draw_cell(axes: Axes, row: int, result: CellResult) -> bool:
    colour, _ = model_look(result.cell.architecture)
    seeds = percent(result.accuracies.iloc[:MOST_SEEDS])
    axes.scatter(seeds, row + lanes(len(seeds)), s=9, color=colour, alpha=0.6, linewidth=0, zorder=2)
    axes.plot([result.accuracy.mean * 100], [row], "|", color=INK, markersize=9, markeredgewidth=1.8, zorder=4)
    return draw_interval(axes, result.accuracy, row)
