"""Accuracy along axes of numbers."""

from bench.report.report import Report
from bench.report.sections.section import Section
from bench.report.sections.sweeps.lines import sweeps
from bench.report.show.table import Column, Table, flat, interval_column, number_column, text_column
from bench.report.show.words import percent, percent_interval


def sweep_table(report: Report) -> Table:
    """One row per axis, model and value."""
    return Table(
        name="sweeps",
        title="Along an axis",
        caption="Test accuracy at each value of a factor with three levels or more, or of what the protocol says, all "
        "else as in the model's preset: mean over seeds with its 95 % t interval. The value that is best here is best "
        "of so many on test images.",
        columns=(
            text_column("axis", "axis"),
            text_column("model", "model"),
            Column("value", "value", lambda row: f"{row['value']:g}"),
            text_column("", "preset"),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(
            {
                "axis": sweep.axis,
                "model": line.architecture,
                "value": value,
                "preset": "preset" if value == line.preset else "",
                **flat("accuracy", accuracy),
            }
            for sweep in sweeps(report)
            for line in sweep.lines
            for value, accuracy in line.points
        ),
        telling=lambda row: row["accuracy"],
    )


SECTION = Section("sweeps", tables=(sweep_table,), charts=("sweeps.chart",))
