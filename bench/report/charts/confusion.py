"""Which classes are taken for which."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.report.analysis import Analysis
from bench.report.charts.chart import Chart
from bench.report.charts.style import INK, PALE, figure, seeds_words
from bench.report.mistakes import Confusion

_COLUMNS = 2


def draw(analysis: Analysis) -> Chart | None:
    """One matrix per preset; None where no preset's was recorded."""
    presets = [result.cell for result in analysis.presets]
    chosen = [confusion for confusion in analysis.confusions if confusion.cell in presets]
    if not chosen:
        return None
    columns = min(len(chosen), _COLUMNS)
    rows = -(-len(chosen) // columns)
    page = figure(rows * (3.6 if columns > 1 else 5.2))
    panels = page.subplots(rows, columns, squeeze=False).flatten()
    for axes, confusion in zip(panels, chosen, strict=False):
        _draw_matrix(axes, confusion, fontsize=6.5 if columns > 1 else 8.5)
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    return Chart(
        name="confusion",
        title="Which classes are taken for which",
        caption="What the images of a class are taken for, in percent of the class, over all seeds of a published "
        f"model ({seeds_words([confusion.n for confusion in chosen])}). The diagonal, the right answers, is not "
        "coloured; a dot is less than 0.05 %, an empty square none. Each matrix has its own scale of colours.",
        alt=f"Mistakes by class: {'; '.join(_in_words(confusion) for confusion in chosen)}.",
        figure=page,
    )


def _draw_matrix(axes: Axes, confusion: Confusion, fontsize: float) -> None:
    shares, mistakes = _shares(confusion), _mistakes(confusion)
    strongest = mistakes.max() or 1
    look = {"cmap": "Blues", "vmin": 0, "vmax": strongest, "linewidths": 0.6, "linecolor": "#efefef"}
    sns.heatmap(mistakes, mask=mistakes == 0, square=True, cbar=False, ax=axes, **look)
    for number in range(len(shares)):
        axes.add_patch(Rectangle((number, number), 1, 1, color=PALE, linewidth=0))
    for (row, column), share in np.ndenumerate(shares):
        text = axes.text(column + 0.5, row + 0.5, _number(float(share)), ha="center", va="center_baseline")
        text.set_color("white" if mistakes[row, column] > 0.6 * strongest else INK)
        text.set_fontsize(fontsize * min(1, 10 / len(shares)))
    ticks = np.arange(len(shares))
    axes.set_title(confusion.cell.architecture)
    axes.set_xticks(ticks + 0.5, map(str, ticks), rotation=0)
    axes.set_yticks(ticks + 0.5, map(str, ticks), rotation=0)
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


def _in_words(confusion: Confusion) -> str:
    mistakes = _mistakes(confusion)
    true, predicted = np.unravel_index(mistakes.argmax(), mistakes.shape)
    words = f"takes class {true} for {predicted} most often, {mistakes.max():.1f} % of the time"
    return f"{confusion.cell.architecture} {words if mistakes.any() else 'makes no mistake'}"
