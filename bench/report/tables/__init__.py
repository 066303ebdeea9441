"""The tables of a report: one frame each, shown as Markdown, CSV, LaTeX and HTML alike."""

from collections.abc import Iterator

from bench.report.analysis import Analysis
from bench.report.tables.architectures import architecture_table, progress_table, target_table
from bench.report.tables.cells import cell_table, hardest_table, recall_table, variance_table
from bench.report.tables.claims import claim_table
from bench.report.tables.effects import effect_table, mcnemar_table, step_table
from bench.report.tables.factorial import attribution_table, factorial_table
from bench.report.tables.overhead import overhead_table
from bench.report.tables.precision import precision_table
from bench.report.tables.rates import rate_table
from bench.report.tables.readouts import ensemble_table, readout_table
from bench.report.tables.speed import speed_table
from bench.report.tables.sweeps import sweep_table
from bench.report.tables.table import Table

__all__ = ["Table", "make_tables"]

_TABLES = (
    effect_table,
    sweep_table,
    cell_table,
    recall_table,
    architecture_table,
    target_table,
    progress_table,
    claim_table,
    step_table,
    factorial_table,
    attribution_table,
    variance_table,
    mcnemar_table,
    hardest_table,
    precision_table,
    readout_table,
    ensemble_table,
    rate_table,
    speed_table,
    overhead_table,
)


def make_tables(analysis: Analysis) -> Iterator[Table]:
    """The tables that the rows can fill, in reading order."""
    for make in _TABLES:
        table = make(analysis)
        if table.rows:
            yield table
