"""The sections of a report, in the order in which they are read. To add one: its room, and its place in SECTIONS."""

from collections.abc import Iterator
from dataclasses import replace
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
    ensembles,
    hardest,
    held_out,
    mcnemar,
    measured,
    overhead,
    pareto,
    precision,
    presets,
    progress,
    rates,
    readouts,
    recall,
    receptive_field,
    schedules,
    search,
    speed,
    sweeps,
    targets,
    transfer,
    variance,
)
from bench.report.sections.section import Section, Weight
from bench.report.show.table import Table

if TYPE_CHECKING:
    from bench.report.show.chart import Chart

SECTIONS: tuple[Section, ...] = (
    effects.SECTION,
    combinations.SECTION,
    sweeps.SECTION,
    transfer.SECTION,
    pareto.SECTION,
    cells.SECTION,
    presets.SECTION,
    architectures.SECTION,
    search.SECTION,
    held_out.SECTION,
    targets.SECTION,
    claims.SECTION,
    progress.SECTION,
    recall.SECTION,
    precision.SECTION,
    rates.SECTION,
    receptive_field.SECTION,
    schedules.SECTION,
    variance.SECTION,
    mcnemar.SECTION,
    readouts.SECTION,
    ensembles.SECTION,
    confusion.SECTION,
    hardest.SECTION,
    speed.SECTION,
    overhead.SECTION,
    measured.SECTION,
)


def caveats(report: Report, *weights: Weight) -> list[str]:
    """What has to be known before the numbers are believed, what changes them most first; of all weights, or these."""
    found = [caveat for section in SECTIONS for caveat in section.caveats(report)]
    ordered = sorted(found, key=lambda caveat: caveat.weight)
    return [caveat.text for caveat in ordered if caveat.weight in (weights or tuple(Weight))]


def make_tables(report: Report) -> Iterator[Table]:
    """The tables that the rows can fill."""
    for section in SECTIONS:
        for make in section.tables:
            table = make(report)
            if table.rows:
                yield replace(table, topic=section.name)


def draw_charts(report: Report) -> "Iterator[Chart]":
    """The charts that the rows can fill, laid out for good."""
    from bench.report.show.style import applied, settle

    for section in SECTIONS:
        for module in section.charts:
            with applied():
                chart = import_module(f"{__name__}.{module}").draw(report)
                if chart is not None:
                    settle(chart.figure)
            if chart is not None:
                yield replace(chart, topic=section.name)
