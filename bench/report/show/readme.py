"""The parts of a Markdown file that come from rows: tables, charts and sentences between markers.

    <!-- bench: pebbles effects -->
    ... rewritten by `bench readme` ...
    <!-- bench: end -->

A block is named by a data set and by a table (its file's name in the report), `headlines` (the first four),
`findings`, `log` (what wasn't shown to help, dated), `presets`, `combinations`, `search`, or `chart:` and a chart's
name. Conditions on the rows may stand between, as `bench report` takes them behind --where:

    <!-- bench: pebbles precision=fp32 readouts -->
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path

from bench.errors import BenchError, near_matches
from bench.plan.proposing import FIRST_SEEDS
from bench.record.replacing import replace_text
from bench.report.report import Report
from bench.report.sections import SECTIONS, draw_charts, make_tables
from bench.report.sections.effects.sentences import HEADLINES, findings, headlines, log
from bench.report.show.chart import Chart
from bench.report.show.table import Table
from bench.report.show.words import markdown_text, shortened

# The columns that a reader of the README needs; the report has them all.
_BRIEF = {
    "effects": ("model", "technique", "effect", "95 % interval", "n", "verdict", "parameters", "training speed"),
    "architectures": ("model", "parameters", "layers", "pools", "receptive field", "MACs", "measured", "n", "training"),
    "cells": ("cell", "accuracy", "95 % interval", "sd", "n", "parameters", "training", "inference"),
    "speed": (
        *("model", "trained by", "precision", "processes x threads", "images/s", "of peak"),
        *("to plain fp32", "95 % interval", "rounds"),
    ),
    "searches": (
        *("", "trials", "epochs", "best network", "parameters"),
        *("held-out accuracy", "test accuracy", "95 % interval", "n"),
    ),
    "targets": ("model", "precision", "published", "measured", "n", "one more run", "reached it", "these rows"),
}

# Of what is compared in passing, only what has enough seeds to say something.
_OF_ENOUGH_SEEDS = ("precision",)

# Longer tables and lists are cut: a README is read from top to bottom.
_MOST_LINES = 60

_BLOCK = re.compile(
    r"^<!-- bench: (?P<of>(?P<dataset>\S+)(?P<where>(?: [^\s=]+=\S+)*) (?P<name>\S+)) -->(?P<end>\r?\n)(?P<body>.*?)"
    r"^<!-- bench: end -->(?=\r?$)",
    re.MULTILINE | re.DOTALL,
)
_MARKER = re.compile(r"^<!-- bench: ", re.MULTILINE)


class ReadmeError(BenchError):
    """A file's blocks can't be made, or have drifted from the rows."""


def rewrite(text: str, analysis_of: Callable[[str, Mapping[str, str]], Report], reports: str) -> str:
    """The text with every block made anew, its lines ended as its first one is. `analysis_of` gives a data set's
    report on the rows that meet conditions, `reports` is where charts lie.

    Raises ReadmeError for a block without its end and for an unknown name.
    """
    if len(_MARKER.findall(text)) != 2 * len(_BLOCK.findall(text)):
        raise ReadmeError(
            "a block lacks its first or last line: `<!-- bench: DATASET TABLE -->`, `<!-- bench: end -->`"
        )

    @cache
    def blocks_of(dataset: str, conditions: str) -> _Blocks:
        where = dict(condition.split("=", 1) for condition in conditions.split())
        return _Blocks(analysis_of(dataset, where), "" if where else f"{reports}/{dataset}")

    def made(match: re.Match[str]) -> str:
        body = blocks_of(match["dataset"], match["where"]).body(match["name"])
        return f"<!-- bench: {match['of']} -->\n{body}\n<!-- bench: end -->".replace("\n", match["end"])

    return _BLOCK.sub(made, text)


def drifted(old: str, new: str) -> list[str]:
    """The names of the blocks whose bodies differ."""
    before, after = ([(match["of"], match["body"]) for match in _BLOCK.finditer(text)] for text in (old, new))
    return [name for (name, body), (_, made) in zip(before, after, strict=True) if body != made]


@dataclass(frozen=True)
class _Blocks:
    """What a data set's blocks are made of; charts and tables are made once. `folder` is where the charts lie, empty
    where no report has them."""

    report: Report
    folder: str

    @cached_property
    def charts(self) -> dict[str, Chart]:
        charts = {}
        for chart in draw_charts(self.report):
            chart.figure.clear()  # only its words are needed
            charts[f"chart:{chart.name}"] = chart
        return charts

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {table.name: table for table in make_tables(self.report)}

    @cached_property
    def sentences(self) -> dict[str, list[str]]:
        return {
            "headlines": list(islice(headlines(self.report), HEADLINES)),
            "findings": shortened((text for _, text in findings(self.report)), _MOST_LINES, "effects"),
            "log": shortened(log(self.report), _MOST_LINES, "effects"),
            **{
                section.name: shortened(texts, _MOST_LINES, section.name)
                for section in SECTIONS
                if (texts := list(section.sentences(self.report)))
            },
        }

    def body(self, name: str) -> str:
        if name in self.sentences:
            return "\n".join(f"- {text}" for text in self.sentences[name])
        if name.startswith("chart:"):
            if not self.folder:
                raise ReadmeError(f"{name} comes from a report on all rows: leave out the conditions")
            if name not in self.charts:
                raise ReadmeError(f"no chart is called {name!r} in these rows: {near_matches(name, self.charts)}")
            chart = self.charts[name]
            return f"![{chart.alt}]({self.folder}/charts/{chart.name}.svg)\n\n{markdown_text(chart.caption)}"
        if name not in self.tables:
            known = near_matches(name, [*self.tables, *self.sentences])
            raise ReadmeError(f"no block is called {name!r} in these rows: {known}")
        table = self.tables[name]
        brief = table.only(_BRIEF[name]) if name in _BRIEF else table
        brief = brief.with_seeds(FIRST_SEEDS) if name in _OF_ENOUGH_SEEDS else brief
        brief = brief.shortened(_MOST_LINES)
        return f"{brief.markdown()}\n\n{markdown_text(brief.caption)}"


def read(path: Path) -> str:
    """The file's text, its line ends as they are. Raises ReadmeError."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadmeError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from error


def write(path: Path, text: str) -> None:
    """Replaces the file's text. Raises ReadmeError."""
    try:
        replace_text(path, text)
    except OSError as error:
        raise ReadmeError(f"{path} can't be written: {error.strerror or error}") from error
