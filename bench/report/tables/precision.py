"""Whether a precision changes the answer."""

from bench.report.analysis import Analysis
from bench.report.precision import MARGIN, REFERENCE
from bench.report.tables.table import Column, Table, flat, interval_column, number_column, text_column
from bench.report.words import percent, points, points_interval


def precision_table(analysis: Analysis) -> Table:
    """Two rows per cell that was trained in two precisions."""
    return Table(
        name="precision",
        title="The same trials in another precision",
        caption=f"Test accuracy of the same cells and seeds trained in another precision and in {REFERENCE}, and what "
        "that precision adds, paired by seed, in percentage points with the 95 % t interval. The two are equivalent "
        f"where the whole interval lies within {MARGIN * 100:.2f} points. A network that trains at a constant rate "
        "moves from epoch to epoch in either precision; the mean over the last epochs has less of that noise.",
        columns=(
            text_column("cell", "cell"),
            text_column("precision", "precision"),
            Column("measured on", "epochs", lambda row: _span(row["epochs"]), number=False),
            number_column("accuracy", "accuracy", percent),
            number_column(REFERENCE, "reference", percent),
            number_column("difference", "difference", points),
            interval_column("95 % interval", "difference", points_interval),
            number_column("n", "n", str),
            text_column("verdict", "verdict"),
        ),
        rows=tuple(
            {
                "cell": effect.cell.label,
                "precision": effect.precision,
                "epochs": effect.epochs,
                "accuracy": effect.accuracy,
                "reference": effect.reference,
                **flat("difference", effect.difference),
                "verdict": str(effect.verdict),
            }
            for effect in analysis.precisions
        ),
        telling=lambda row: abs(row["difference"]),
    )


def _span(epochs: int) -> str:
    return "last epoch" if epochs == 1 else f"mean of the last {epochs}"
