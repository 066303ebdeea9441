"""What was compared on held-out training images."""

from bench.report.report import Report
from bench.report.sections.held_out.results import Compared, compared
from bench.report.sections.section import Section
from bench.report.show.table import Table, TableRow, flat, flat_difference, interval_column, number_column, text_column
from bench.report.show.words import count, percent, percent_interval, points, points_interval


def held_out_table(report: Report) -> Table:
    """A row per cell that `run --val` trained."""
    rows = report.evidence.held_out
    images = f"{int(rows['val'].iloc[0]):,}" if len(rows) else "no"
    return Table(
        name="held_out",
        title="Compared on held-out training images",
        caption=f"What `run --val` measured, on {images} training images that these trials didn't learn from: mean "
        "over seeds with the 95 % t interval, and by how many points that is more than at the model's preset, over all "
        "seeds of both. Verdicts hold for all rows of this table together. They are there to choose by; what was "
        "chosen is trained anew on all training images, with other seeds, and measured on the test set.",
        columns=(
            text_column("cell", "cell"),
            number_column("parameters", "parameters", count),
            number_column("held-out accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
            number_column("over preset", "over_preset", points),
            interval_column("95 % interval", "over_preset", points_interval),
            text_column("verdict", "verdict"),
        ),
        rows=tuple(map(_row, compared(report))),
    )


def _row(one: Compared) -> TableRow:
    return {
        "cell": one.cell.label,
        "parameters": one.parameters,
        **flat("accuracy", one.accuracy),
        **flat_difference("over_preset", one.over_preset),
        "verdict": str(one.verdict or ""),
    }


SECTION = Section("held_out", "Compared on held-out training images", tables=(held_out_table,))
