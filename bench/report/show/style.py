"""What the charts look like: type, colours, axes of accuracy, intervals."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.scale import LogitTransform
from numpy.typing import NDArray

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.show.words import plural
from bench.report.stats.estimate import Estimate

# In inches: a chart is to be read on a telephone too.
WIDTH = 5.8
SMALL = 8
# Of more seeds than these, marks and thin lines are one stain.
MOST_SEEDS = 100

INK = "#262626"
SOFT = "#5f5f5f"
GREY = "#949494"
PALE = "#d9d9d9"
GRID = "#e6e6e6"
# No model has these.
GAIN, LOSS, EQUAL = "#00594f", "#9c1c1c", "#4a3a8c"

# The range of accuracies from which on an axis is stretched.
_WIDE = 0.1

# How near to 0 and 1 a logit scale goes.
_EDGE = 1e-4

# A mark's id that begins with this holds its title, until the SVG is written.
HOVER = "title:"

_NBSP = "\N{NO-BREAK SPACE}"

# Accuracies, in percent, that an axis may name, the most telling first.
_TICKS = [99, 90, 50, 10, 99.9, 95, 99.5, 98, 80, 20, 100, 0, 97, 70, 30, 98.5, 99.8, 96, 85, 92, 94, 60]

# What else it may name where those are few.
_FINE_TICKS = [*range(80, 100), *np.arange(98, 100, 0.1)]
_FEW = 4

_SETTINGS = {
    **sns.axes_style("ticks"),
    "axes.edgecolor": INK,
    "axes.grid.axis": "x",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.dpi": 144,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],  # the widest first: none of the others is cut
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "savefig.dpi": "figure",
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 3,
    "xtick.major.width": 0.8,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 3,
    "ytick.major.width": 0.8,
}


@contextmanager
def applied() -> Iterator[None]:
    """Within it, figures are drawn and written in the charts' style."""
    with mpl.rc_context(_SETTINGS):
        yield


def figure(height: float) -> Figure:
    """An empty figure of the page's width; heights are in inches."""
    page = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(page)  # a figure without one makes another each time that a text is measured
    return page


def settle(page: Figure) -> None:
    """Lays a figure out for good: left to itself the layout moves a little each time that the figure is drawn.

    A second pass reckons with what the first one moved: text beside a picture that keeps its shape.
    """
    engine = ConstrainedLayoutEngine()
    for _ in range(2 if any(axes.get_aspect() != "auto" for axes in page.axes) else 1):
        engine.execute(page)


def model_look(architecture: str) -> tuple[str, str]:
    """A model's colour and marker, the same in every chart."""
    number = list(catalogue().architectures).index(architecture)
    colours, markers = sns.color_palette("colorblind").as_hex(), "os^DvPX*"
    return colours[number % len(colours)], markers[number % len(markers)]


def hover(artist: Artist, text: str) -> None:
    """What is shown where the pointer rests on a mark: an SVG gets it as the mark's title."""
    artist.set_gid(f"{HOVER}{text}")


def percent(values: Any) -> NDArray[np.float64]:
    """Fractions as percent."""
    return np.asarray(values, dtype=float) * 100


def lanes(count: int) -> NDArray[np.float64]:
    """Offsets from a row's middle for `count` seeds, half of them above and half below the mean's mark."""
    inner, outer, half = 0.17, 0.36, (count + 1) // 2
    return np.concatenate([-np.linspace(outer, inner, half), np.linspace(inner, outer, count - half)])


def draw_squares(axes: Axes, values: NDArray[np.float64], **look: Any) -> None:
    """A square for each value, rows from the top; NaN is left blank. seaborn would draw the whole figure each time."""
    axes.pcolormesh(np.ma.masked_invalid(values), **look)
    rows, columns = values.shape
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.spines[:].set_visible(False)


def draw_interval(
    axes: Axes,
    estimate: Estimate,
    at: float,
    *,
    limits: tuple[float, float] = (0, 100),
    vertical: bool = False,
    colour: str = INK,
    width: float = 1.6,
) -> bool:
    """Draws an interval of fractions on an axis in percent. Where it leaves `limits`, which no value can, it ends in an
    arrow. Returns whether it does. Draws nothing where there is no interval.
    """
    if not estimate.has_interval:
        return False
    ends = np.clip(percent([estimate.low, estimate.high]), *limits)
    axes.plot(*_turned(ends, [at, at], vertical), color=colour, linewidth=width, solid_capstyle="butt", zorder=3)
    beyond = [estimate.low * 100 < limits[0], estimate.high * 100 > limits[1]]
    arrows = ("v", "^") if vertical else ("<", ">")
    for end, arrow in ((ends[i], arrows[i]) for i in range(2) if beyond[i]):
        axes.plot(*_turned([end], [at], vertical), arrow, color=colour, markersize=4.5, clip_on=False, zorder=3, mew=0)
    return any(beyond)


def stretch(axes: Axes, axis: str) -> None:
    """Gives an axis of accuracies in percent matplotlib's logit scale, on which 15 % and 99.5 % are both legible. What
    is nearer to 0 or 100 % than an image of 10,000 is drawn there: the logit of 100 % is infinite."""
    logit, logistic = LogitTransform(), LogitTransform().inverted()
    functions = (
        lambda accuracy: logit.transform_non_affine(np.clip(np.asarray(accuracy) / 100, _EDGE, 1 - _EDGE)),
        lambda place: percent(logistic.transform_non_affine(place)),
    )
    (axes.set_xscale if axis == "x" else axes.set_yscale)("function", functions=functions)


def stretch_if_wide(axes: Axes, axis: str, accuracies: Sequence[Estimate]) -> bool:
    """Stretches an axis on which plain percents would press the good cells together. Returns whether it did."""
    best = max(accuracy.mean for accuracy in accuracies)
    wide = best - min(accuracy.minimum for accuracy in accuracies) > _WIDE
    if wide:
        stretch(axes, axis)
    return wide


def name_accuracies(axes: Axes, axis: str, gap: float) -> None:
    """Names round accuracies on a stretched axis, at least `gap` of its length apart, and keeps its limits."""
    low, high = limits = axes.get_xlim() if axis == "x" else axes.get_ylim()
    scale = (axes.xaxis if axis == "x" else axes.yaxis).get_transform()
    first, last = scale.transform(np.array(limits))
    chosen: dict[float, float] = {}
    for ticks in (_TICKS, _FINE_TICKS):
        places = (scale.transform(np.array(ticks)) - first) / (last - first)
        for tick, place in zip(ticks, places, strict=True):
            if low <= tick <= high and all(abs(place - other) >= gap for other in chosen.values()):
                chosen[tick] = place
        if len(chosen) >= _FEW:
            break
    labels = [f"{tick:.4g}" for tick in chosen]
    if axis == "x":
        axes.set_xticks(list(chosen), labels)
        axes.set_xlim(limits)
    else:
        axes.set_yticks(list(chosen), labels)
        axes.set_ylim(limits)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places moved apart until each is at least `gap` from the next, in the order given; for labels of lines."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + gap)
    return moved


def seeds_words(counts: Sequence[int]) -> str:
    """How many seeds: `5 seeds`, `3 to 5 seeds`."""
    return range_words(counts, "seed")


def range_words(counts: Sequence[int], what: str) -> str:
    """From the fewest to the most: `5 groups`, `1 to 5 groups`."""
    low, *_, high = sorted(counts) * 2
    return plural(high, what) if low == high else f"{low} to {plural(high, what)}"


def remark(said: bool, sentence: str) -> str:
    """A sentence to end a caption with, where it is to be said."""
    return f" {sentence}" if said else ""


def level_label(factor: Factor, level: Level) -> str:
    """A level without its article, for the edge of a chart: `batch norm`, `one-cycle schedule`."""
    return short(factor.in_words(level))


def cell_label(cell: Cell) -> str:
    """What sets a cell apart from its architecture's preset; the architecture's name for the preset.

    A long label has several lines and is broken between levels.
    """
    changed = cell.differences(preset_cell(cell.architecture))
    names = [level_label(factor, level_of(cell.levels, factor)).replace(" ", _NBSP) for factor in changed]
    return fill(", ".join(names), 46, break_on_hyphens=False) or cell.architecture


def short(words: str) -> str:
    """Without the leading article."""
    return words.removeprefix("the ").removeprefix("a ")


def _turned(along: Any, across: Any, vertical: bool) -> tuple[Any, Any]:
    return (across, along) if vertical else (along, across)
