"""Ensembles of seeds: accuracy and calibration by how many there are."""

from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.ensembles.results import EnsembleResult, ensemble_results
from bench.report.sections.measured_quality import QUALITY, means, quality_columns
from bench.report.sections.section import Section
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import count, percent, percent_interval


def ensemble_table(report: Report) -> Table:
    """A row per cell and size of ensemble."""
    return Table(
        name="ensembles",
        title="Ensembles of seeds",
        caption="Networks of one cell that differ in their seed alone, with their probabilities averaged: means over "
        "disjoint groups of so many seeds, in their order, with the 95 % t interval over the groups; one group has "
        "none. Inference takes so many times the parameters and the time of one network. "
        f"{QUALITY}",
        columns=(
            text_column("cell", "cell"),
            number_column("seeds", "size", str),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("groups", "n", str),
            *quality_columns(),
            number_column("parameters", "parameters", count),
        ),
        rows=tuple(row for result in ensemble_results(report) for row in _ensemble_rows(result)),
    )


def _ensemble_rows(result: EnsembleResult) -> Iterator[TableRow]:
    for one in result.by_size:
        yield {
            "cell": result.cell.label,
            "size": one.size,
            **flat("accuracy", one.accuracy),
            **means(loss=one.loss, brier=one.brier, calibration_error=one.calibration_error),
            "parameters": one.size * result.parameters,
        }


SECTION = Section("ensembles", "Ensembles of seeds", tables=(ensemble_table,), charts=("ensembles.chart",))
