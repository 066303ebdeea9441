"""A chart and its files."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from bench.report.show.style import applied


@dataclass(frozen=True)
class Chart:
    """A figure and the words that go with it. `name` is its files' stem; `alt` says in a sentence what it shows."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


def save(chart: Chart, folder: Path, png: bool = False) -> None:
    """Writes <name>.svg into `folder`, with `png` <name>.png as well: the same bytes for the same rows, whenever they
    are written.

    No figure is left open: pyplot, which would keep it, never learns of it.
    """
    with applied():
        chart.figure.savefig(folder / f"{chart.name}.svg", metadata={"Date": None, "Creator": None})
        if png:
            chart.figure.savefig(folder / f"{chart.name}.png", metadata={"Software": None})
