"""How the receptive field grows."""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from architectures.geometry import receptive_fields
from bench.report.analysis import Analysis
from bench.report.charts.chart import Chart
from bench.report.charts.fold import MOST_NAMES, fold
from bench.report.charts.style import GREY, INK, figure, model_look, spread
from bench.report.words import few, listed

# The side of an image in pixels; every data set comes in it.
_IMAGE = 28

# How many of the models that grow alike are named at their line.
_LABELLED = 3


def draw(analysis: Analysis) -> Chart | None:
    """One line per architecture with a trained preset, one for those that grow alike."""
    grown: dict[tuple[tuple[str, int], ...], list[str]] = {}
    best: dict[tuple[tuple[str, int], ...], float] = {}
    from bench.train.network import plain_network

    for result in analysis.presets:
        layers = tuple(receptive_fields(plain_network(result.cell, (1, 28, 28), 10)))
        grown.setdefault(layers, []).append(result.cell.architecture)
        best[layers] = max(best.get(layers, 0.0), result.accuracy.mean)
    if not grown:
        return None
    lines, folded = fold(
        list(grown), MOST_NAMES, best.__getitem__, what="ways to grow", first="the best models'", table="architectures"
    )
    page = figure(3.3)
    axes = page.subplots()
    axes.axhline(_IMAGE, color=GREY, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    axes.text(1, _IMAGE, f"image: {_IMAGE} pixels", va="bottom", fontsize=8.5, color="#595959")
    for layers, label_at in zip(lines, _label_places(lines), strict=True):
        _draw_line(axes, layers, grown[layers], label_at)
    axes.set(xlabel="layer (convolutions and pools)", ylabel="receptive field (pixels)", ylim=(0, None))
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(handles=_key(), loc="upper left")
    last = [f"{layers[-1][1]} pixels in {few(grown[layers])}" for layers in lines]
    return Chart(
        name="receptive_field",
        title="Growth of the receptive field",
        caption="The side of the square of input pixels that one position of a layer sees, layer by layer up to the "
        f"classifier; it follows from the layers alone, so no seed or interval enters.{folded}",
        alt=f"The receptive field grows with every layer and ends at {listed(last)}.",
        figure=page,
    )


def _label_places(lines: list[tuple[tuple[str, int], ...]]) -> list[float]:
    return spread([float(layers[-1][1]) for layers in lines], 2.5)


def _draw_line(axes: Axes, layers: tuple[tuple[str, int], ...], names: list[str], label_at: float) -> None:
    colour, _ = model_look(names[0])
    fields = [field for _, field in layers]
    steps = range(1, len(fields) + 1)
    axes.plot(steps, fields, color=colour, linewidth=1.8, zorder=2)
    for step, (layer, field) in enumerate(layers, start=1):
        pool = layer.endswith(".pool")
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
