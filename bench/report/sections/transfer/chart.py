"""Accuracy by the number of training images, with and without a phase before."""

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.report.report import Report
from bench.report.sections.transfer.results import Beginning, beginnings
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, fold
from bench.report.show.style import draw_interval, figure, name_accuracies, remark, seeds_words, stretch_if_wide
from bench.report.show.words import few, percent, sentence

_COLUMNS = 2
_MARKERS = "os^DvPX*"


def draw(report: Report) -> Chart | None:
    """A panel per model, a line per beginning; None where nothing began with a phase."""
    found = beginnings(report)
    if not found:
        return None
    names = list(dict.fromkeys(one.cell.architecture for one in found))
    named, folded = fold(
        names,
        MOST_PANELS // 2,
        lambda name: max(one.accuracy.mean for one in found if one.cell.architecture == name),
        what="models",
        first="the best",
        table="transfer",
    )
    lines = list(dict.fromkeys(one.beginning for one in found))
    counts = [one.accuracy.n for one in found]
    columns = min(len(named), _COLUMNS)
    rows = -(-len(named) // columns)
    page = figure(2.7 * rows + 0.22 * len(lines) + 0.3)
    panels = page.subplots(rows, columns, squeeze=False).flatten()
    cut = [
        _draw_panel(axes, name, [one for one in found if one.cell.architecture == name], lines)
        for axes, name in zip(panels, named, strict=False)
    ]
    for axes in panels[len(named) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(f"test accuracy (%), {seeds_words(counts)}")
    page.legend(handles=[_key(line, lines) for line in lines], loc="outside lower center", ncols=1)
    said = [_in_words(line) for name in named for text in lines if (line := _of(found, name, text))]
    return Chart(
        name="transfer",
        title="A phase of training before",
        caption="Mean test accuracy by the number of training images, by what the training began with, with its 95 % "
        f"t interval over seeds ({seeds_words(counts)}). A seed draws the same images whatever it begins with, and of "
        "fewer images some of those of more."
        + remark(1 in counts, "One seed gives no interval.")
        + remark(any(cut), "An arrow ends an interval that goes on past 0 or 100 %.")
        + folded,
        alt=f"Accuracy with the fewest training images: {few(said)}.",
        figure=page,
    )


def _of(found: Sequence[Beginning], name: str, line: str) -> list[Beginning]:
    return [one for one in found if one.cell.architecture == name and one.beginning == line]


def _draw_panel(axes: Axes, name: str, found: Sequence[Beginning], lines: Sequence[str]) -> bool:
    """Returns whether an interval was cut."""
    cut = False
    axes.set_title(name)
    axes.set_xscale("log")
    images = sorted({one.images for one in found})
    axes.set_xticks(images, [f"{number:,}" for number in images])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training images")
    axes.grid(axis="both")
    drawn = [line for line in lines if _of(found, name, line)]
    for line in drawn:
        points = _of(found, name, line)
        colour, marker = _look(line, lines)
        # Beside each other, so that the intervals of several can be told apart.
        aside = 1 + 0.03 * (drawn.index(line) - (len(drawn) - 1) / 2)
        places = [one.images * aside for one in points]
        means = [one.accuracy.mean * 100 for one in points]
        axes.plot(places, means, marker=marker, color=colour, linewidth=1.4, markersize=5, zorder=4)
        for at, one in zip(places, points, strict=True):
            cut |= draw_interval(axes, one.accuracy, at, vertical=True, colour=colour, width=1.2)
    if stretch_if_wide(axes, "y", [one.accuracy for one in found]):
        name_accuracies(axes, "y", 0.12)
    return cut


def _look(line: str, lines: Sequence[str]) -> tuple[str, str]:
    number, colours = lines.index(line), sns.color_palette("colorblind").as_hex()
    return colours[number % len(colours)], _MARKERS[number % len(_MARKERS)]


def _key(line: str, lines: Sequence[str]) -> Line2D:
    colour, marker = _look(line, lines)
    return Line2D([], [], color=colour, marker=marker, linewidth=1.4, label=sentence(line))


def _in_words(line: Sequence[Beginning]) -> str:
    first = line[0]
    return f"{first.cell.architecture} with {first.beginning} {percent(first.accuracy.mean)}"
