"""What the learning rate does, where cells were trained at several."""

from collections.abc import Iterator

from bench.plan.catalogue import catalogue
from bench.report.analysis import Analysis
from bench.report.stats.estimate import estimate
from bench.report.tables.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.words import percent, percent_interval


def rate_table(analysis: Analysis) -> Table:
    """A row per cell and rate of the cells that were trained at more than one."""
    return Table(
        name="rates",
        title="Learning rates",
        caption="Test accuracy of the cells that were trained at several learning rates (where the schedule moves it, "
        "the peak), with the 95 % t interval of the mean. A rate that is best here is best of so many on test images: "
        f"`{catalogue().command('select')}` chooses on held-out training images.",
        columns=(
            text_column("cell", "cell"),
            Column("rate", "lr", lambda row: f"{row['lr']:g}"),
            text_column("", "selected"),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(_rows(analysis)),
    )


def _rows(analysis: Analysis) -> Iterator[TableRow]:
    rates = analysis.evidence.rates
    counts = rates.groupby("cell")["lr"].nunique()
    several = rates[rates["cell"].map(counts) > 1]
    for cell in analysis.evidence.cells:
        for lr, rows in several[several["cell"] == cell.label].groupby("lr"):
            is_selected = bool((rows["lr"] == rows["selected_lr"]).any())
            yield {
                "cell": cell.label,
                "lr": lr,
                "selected": "selected" if is_selected else "",
                **flat("accuracy", estimate(rows["test_accuracy"].to_numpy(dtype=float))),
            }
