"""The sections of a report, in the order in which they are read. To add one: its room, and its place in SECTIONS."""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from bench.report.report import Report
from bench.report.sections import (
    architectures,
    cells,
    claims,
    combinations,
    confusion,
    effects,
    hardest,
    mcnemar,
    measured,
    overhead,
    pareto,
    precision,
    presets,
    progress,
    rates,
    recall,
    receptive_field,
    schedules,
    speed,
    sweeps,
    targets,
    variance,
)
from bench.report.sections.section import Section
from bench.report.show.table import Table

if TYPE_CHECKING:
    from bench.report.show.chart import Chart

SECTIONS: tuple[Section, ...] = (
    effects.SECTION,
    sweeps.SECTION,
    cells.SECTION,
    recall.SECTION,
    architectures.SECTION,
    targets.SECTION,
    progress.SECTION,
    claims.SECTION,
    pareto.SECTION,
    schedules.SECTION,
    receptive_field.SECTION,
    presets.SECTION,
    combinations.SECTION,
    variance.SECTION,
    mcnemar.SECTION,
    confusion.SECTION,
    hardest.SECTION,
    precision.SECTION,
    rates.SECTION,
    speed.SECTION,
    overhead.SECTION,
    measured.SECTION,
)


def caveats(report: Report) -> list[str]:
    """What has to be known before the numbers are believed, what changes them most first."""
    found = [caveat for section in SECTIONS for caveat in section.caveats(report)]
    return [caveat.text for caveat in sorted(found, key=lambda caveat: caveat.weight)]


def sentences(report: Report) -> list[str]:
    """What is said beside the findings."""
    return [text for section in SECTIONS for text in section.sentences(report)]


def make_tables(report: Report) -> Iterator[Table]:
    """The tables that the rows can fill."""
    for make in (make for section in SECTIONS for make in section.tables):
        table = make(report)
        if table.rows:
            yield table


def draw_charts(report: Report) -> "Iterator[Chart]":
    """The charts that the rows can fill, laid out for good."""
    from bench.report.show.style import applied, settle

    for module in (module for section in SECTIONS for module in section.charts):
        with applied():
            chart = import_module(f"{__name__}.{module}").draw(report)
            if chart is not None:
                settle(chart.figure)
        if chart is not None:
            yield chart
