"""How the receptive field grows."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.report.report import Report
from bench.report.sections.architectures.layers import Layer, layers
from bench.report.sections.cells.results import preset_results
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_NAMES, fold
from bench.report.show.style import GREY, INK, figure, model_look, spread
from bench.report.show.words import few, listed

# How many of the models that grow alike are named at their line.
_LABELLED = 3

# By layer, whether it is a pool, and its receptive field in pixels.
_Growth = tuple[tuple[bool, int], ...]


def draw(report: Report) -> Chart | None:
    """One line per architecture with a trained preset, one for those that grow alike."""
    grown: dict[_Growth, list[str]] = {}
    best: dict[_Growth, float] = {}
    for result in preset_results(report):
        growth = _growth(layers(report).get(result.cell, ()))
        if not growth:
            continue
        grown.setdefault(growth, []).append(result.cell.architecture)
        best[growth] = max(best.get(growth, 0.0), result.accuracy.mean)
    if not grown:
        return None
    lines, folded = fold(
        list(grown), MOST_NAMES, best.__getitem__, what="ways to grow", first="the best models'", table="architectures"
    )
    page = figure(3.3)
    axes = page.subplots()
    image = max(map(int, str(report.evidence.trials["input"].iloc[0]).split("x")[1:]))
    axes.axhline(image, color=GREY, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    axes.text(1, image, f"image: {image} pixels", va="bottom", fontsize=8.5, color="#595959")
    for growth, label_at in zip(lines, _label_places(lines), strict=True):
        _draw_line(axes, growth, grown[growth], label_at)
    axes.set(xlabel="layer (convolutions and pools)", ylabel="receptive field (pixels)", ylim=(0, None))
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(handles=_key(), loc="upper left")
    last = [f"{growth[-1][1]} pixels in {few(grown[growth])}" for growth in lines]
    return Chart(
        name="receptive_field",
        title="Growth of the receptive field",
        caption="The side of the square of input pixels that one position of a layer sees, layer by layer up to the "
        f"classifier; it follows from the layers alone, so no seed or interval enters.{folded}",
        alt=f"The receptive field grows with every layer and ends at {listed(last)}.",
        figure=page,
    )


def _growth(known: Sequence[Layer]) -> _Growth:
    """What the chart shows: convolutions and pools that see a part of the image."""
    shown = [layer for layer in known if layer.is_convolution or layer.is_pool]
    return tuple((layer.is_pool, layer.receptive_field) for layer in shown if layer.receptive_field)


def _label_places(lines: list[_Growth]) -> list[float]:
    return spread([float(growth[-1][1]) for growth in lines], 2.5)


def _draw_line(axes: Axes, growth: _Growth, names: list[str], label_at: float) -> None:
    colour, _ = model_look(names[0])
    fields = [field for _, field in growth]
    steps = range(1, len(fields) + 1)
    axes.plot(steps, fields, color=colour, linewidth=1.8, zorder=2)
    for step, (pool, field) in enumerate(growth, start=1):
        axes.plot(
            [step], [field], "s" if pool else "o", color=colour, markerfacecolor="white" if pool else colour, zorder=3
        )
    axes.annotate(
        _label(names),
        (steps[-1], label_at),
        (8, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontweight="bold",
        annotation_clip=False,
    )


def _label(names: list[str]) -> str:
    return "\n".join(names if len(names) <= _LABELLED else [names[0], f"and {len(names) - 1} more"])


def _key() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", linewidth=0, label="convolution"),
        Line2D([], [], color=INK, marker="s", markerfacecolor="white", linewidth=0, label="max pool"),
    ]
