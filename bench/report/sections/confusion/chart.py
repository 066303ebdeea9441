"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.report.report import Report
from bench.report.sections.cells.results import preset_results
from bench.report.sections.confusion.counts import Confusion, confusions
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, fold
from bench.report.show.style import SMALL, draw_squares, figure, model_look, seeds_words
from bench.report.show.words import plural

# Up to so many classes two matrices stand side by side; up to so many there is one with room for its numbers; of more
# classes so many pairs are shown.
_TWO_COLUMNS, _MATRIX, _PAIRS = 10, 20, 20

# Squares keep their colours where a page is dark, and so do the numbers in them.
_DIAGONAL, _ON_PALE, _ON_DARK = "#dadada", "#1f1f1f", "#fefefe"

# A class's name has room for so many letters, and beyond a few stands upright below a column.
_LONGEST, _UPRIGHT = 16, 3


def draw(report: Report) -> Chart | None:
    """One matrix per preset, or its most frequent mistakes where there are many classes; None where no preset's was
    recorded."""
    if not confusions(report):
        return None
    accuracies = {result.cell: result.accuracy.mean for result in preset_results(report)}
    classes = max(len(confusion.counts) for confusion in confusions(report))
    chosen, folded = fold(
        confusions(report),
        MOST_PANELS // 2 if classes <= _TWO_COLUMNS or classes > _MATRIX else MOST_PANELS // 4,
        lambda confusion: accuracies[confusion.cell],
        what="models",
        first="the best",
    )
    names = _names(report.evidence.class_names, classes)
    seeds = seeds_words([confusion.n for confusion in chosen])
    return Chart(
        name="confusion",
        title="Which classes are taken for which",
        caption=(_pairs_caption(classes, seeds) if classes > _MATRIX else _matrix_caption(seeds)) + folded,
        alt=f"Mistakes by class: {'; '.join(_in_words(confusion, names) for confusion in chosen)}.",
        figure=_page_of_pairs(chosen, names) if classes > _MATRIX else _page_of_matrices(chosen, names),
    )


def _matrix_caption(seeds: str) -> str:
    return (
        "What the images of a class are taken for, in percent of the class, over all seeds of a model's "
        f"preset ({seeds}). The diagonal, the right answers, is not "
        "coloured; a dot is less than 0.05 %, an empty square none. Each matrix has its own scale of colours."
    )


def _pairs_caption(classes: int, seeds: str) -> str:
    return (
        f"The most frequent mistakes among {classes:,} classes, at most {_PAIRS} a model: the true class, what it is "
        "taken for, and how often, in percent of the true class's images over all seeds of a model's preset "
        f"({seeds})."
    )


def _names(known: Sequence[str], classes: int) -> list[str]:
    """What classes are called, shortened where it is long."""
    names = [*known, *map(str, range(len(known), classes))]
    return [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}" for name in names]


def _page_of_matrices(chosen: Sequence[Confusion], names: Sequence[str]) -> Figure:
    classes = len(names)
    columns = min(len(chosen), 2) if classes <= _TWO_COLUMNS else 1
    rows = -(-len(chosen) // columns)
    page = figure(rows * (3.6 if columns > 1 else 5.2 if classes <= _TWO_COLUMNS else 6.8))
    panels = page.subplots(rows, columns, squeeze=False).flatten()
    for axes, confusion in zip(panels, chosen, strict=False):
        _draw_matrix(axes, confusion, names, fontsize=8.5 if columns == 1 and classes <= _TWO_COLUMNS else 6.5)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    return page


def _page_of_pairs(chosen: Sequence[Confusion], names: Sequence[str]) -> Figure:
    columns = min(len(chosen), 2)
    rows = -(-len(chosen) // columns)
    page = figure(rows * (0.19 * _PAIRS + 0.7))
    panels = page.subplots(rows, columns, squeeze=False).flatten()
    for axes, confusion in zip(panels, chosen, strict=False):
        _draw_pairs(axes, confusion, names)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    return page


def _draw_pairs(axes: Axes, confusion: Confusion, names: Sequence[str]) -> None:
    """The most frequent mistakes as bars, the most frequent on top."""
    mistakes = _mistakes(confusion)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_PAIRS]
    pairs = [
        (true, predicted)
        for true, predicted in zip(*np.unravel_index(order, mistakes.shape), strict=True)
        if mistakes[true, predicted]
    ]
    colour, _ = model_look(confusion.cell.architecture)
    axes.barh(range(len(pairs)), [mistakes[pair] for pair in pairs], height=0.6, color=colour, alpha=0.75)
    axes.grid()
    axes.set_title(f"{confusion.cell.architecture}, {plural(confusion.n, 'seed')}")
    labels = [f"{names[true]} \N{RIGHTWARDS ARROW} {names[predicted]}" for true, predicted in pairs]
    axes.set_yticks(range(len(pairs)), labels, fontsize=SMALL)
    axes.set_ylim(_PAIRS - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("taken for the other (% of the class)")


def _draw_matrix(axes: Axes, confusion: Confusion, names: Sequence[str], fontsize: float) -> None:
    shares, mistakes = _shares(confusion), _mistakes(confusion)
    strongest = mistakes.max() or 1
    look = {"cmap": "Blues", "vmin": 0, "vmax": strongest, "linewidths": 0.6, "edgecolors": "#efefef"}
    draw_squares(axes, np.where(mistakes == 0, np.nan, mistakes), **look)
    axes.set_aspect("equal")
    for number in range(len(shares)):
        axes.add_patch(Rectangle((number, number), 1, 1, color=_DIAGONAL, linewidth=0))
    for (row, column), share in np.ndenumerate(shares):
        text = axes.text(column + 0.5, row + 0.5, _number(float(share)), ha="center", va="center_baseline")
        text.set_color(_ON_DARK if mistakes[row, column] > 0.6 * strongest else _ON_PALE)
        text.set_fontsize(fontsize)
        text.set_in_layout(False)  # it lies within its square, and there are hundreds to measure
    ticks = np.arange(len(shares))
    axes.set_title(f"{confusion.cell.architecture}, {plural(confusion.n, 'seed')}")
    own = names[: len(ticks)]
    upright = max(map(len, own)) > _UPRIGHT
    axes.set_xticks(ticks + 0.5, own, rotation=90 if upright else 0)
    axes.set_yticks(ticks + 0.5, own, va="center")
    axes.tick_params(length=0)
    axes.set(xlabel="predicted class", ylabel="true class")


def _shares(confusion: Confusion) -> NDArray[np.float64]:
    """In percent of each true class."""
    return np.asarray(confusion.counts / np.maximum(confusion.counts.sum(axis=1, keepdims=True), 1) * 100)


def _mistakes(confusion: Confusion) -> NDArray[np.float64]:
    """The same without the diagonal."""
    shares = _shares(confusion)
    np.fill_diagonal(shares, 0)
    return shares


def _number(share: float) -> str:
    if share == 0:
        return ""
    return "·" if share < 0.05 else f"{share:.1f}"


def _in_words(confusion: Confusion, names: Sequence[str]) -> str:
    mistakes = _mistakes(confusion)
    true, predicted = map(int, np.unravel_index(mistakes.argmax(), mistakes.shape))
    words = f"takes class {names[true]} for {names[predicted]} most often, {mistakes.max():.1f} % of the time"
    return f"{confusion.cell.architecture} {words if mistakes.any() else 'makes no mistake'}"
