"""A chart and its files."""

import re
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path

from matplotlib.figure import Figure

from bench.report.show.style import EQUAL, GAIN, GREY, GRID, HOVER, INK, LOSS, PALE, SOFT, applied

# A page may give these colours others, as where it is dark; a picture by itself has them as they are.
_COLOURS = {
    INK: "ink",
    SOFT: "soft",
    GREY: "grey",
    PALE: "pale",
    GRID: "grid",
    "#ffffff": "paper",
    GAIN: "gain",
    LOSS: "loss",
    EQUAL: "equal",
}


@dataclass(frozen=True)
class Chart:
    """A figure and the words that go with it. `name` is its files' stem, `topic` the section that it belongs to;
    `alt` says in a sentence what it shows."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    topic: str = ""


def save(chart: Chart, folder: Path, png: bool = False) -> None:
    """Writes <name>.svg into `folder`, with `png` <name>.png as well: the same bytes for the same rows, whenever they
    are written.

    No figure is left open: pyplot, which would keep it, never learns of it.
    """
    with applied():
        written = StringIO()
        chart.figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        (folder / f"{chart.name}.svg").write_text(_dressed(chart.name, written.getvalue()), encoding="utf-8")
        if png:
            chart.figure.savefig(folder / f"{chart.name}.png", metadata={"Software": None})


def _dressed(name: str, svg: str) -> str:
    """The picture with the titles of its marks, colours that a page can change, and ids that no other chart has."""
    svg = re.sub(rf'<g id="{HOVER}([^"]*)">', lambda mark: f"<g>\n<title>{mark[1]}</title>", svg)
    svg = re.sub(r'(?<=[:"] )?(#[0-9a-f]{6})\b', lambda colour: _coloured(colour[1]), svg)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda known: f' id="{name}-{known[1]}"' if known[1] in used else "", svg)
    return re.sub(r'(url\(#|href="#)', rf"\1{escape(name)}-", svg)


def _coloured(colour: str) -> str:
    return f"var(--{_COLOURS[colour]}, {colour})" if colour in _COLOURS else colour
