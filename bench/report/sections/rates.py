"""What the learning rate does, where cells were trained at several."""

from collections.abc import Iterator

from bench.plan.catalogue import catalogue
from bench.report.choosing import SELECTED
from bench.report.report import Report
from bench.report.sections.section import Caveat, Section, Weight
from bench.report.show.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import few, percent, percent_interval
from bench.report.stats.estimate import estimate


def rate_table(report: Report) -> Table:
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
        rows=tuple(_rows(report)),
    )


def _rows(report: Report) -> Iterator[TableRow]:
    rates = report.evidence.rates
    counts = rates.groupby("cell")["lr"].nunique()
    several = rates[rates["cell"].map(counts) > 1]
    for cell in report.evidence.cells:
        for lr, rows in several[several["cell"] == cell.label].groupby("lr"):
            is_selected = bool((rows["lr"] == rows["selected_lr"]).any())
            yield {
                "cell": cell.label,
                "lr": lr,
                "selected": "selected" if is_selected else "",
                **flat("accuracy", estimate(rows["test_accuracy"].to_numpy(dtype=float))),
            }


def _caveats(report: Report) -> Iterator[Caveat]:
    """Where nobody chose the rates."""
    rates = report.evidence.known_rates
    if report.evidence.protocol["rate"] == SELECTED and not rates.selected:
        yield Caveat(
            Weight.LIMIT,
            "Nobody chose learning rates for this study, so the harness's defaults were taken, which suit some "
            f"techniques better than others: `{catalogue().command('select')}` finds rates on held-out training "
            "images.",
        )
    yield from _unselected(report)


def _unselected(report: Report) -> Iterator[Caveat]:
    """Cells at a rate that nobody chose, in a study whose other rates somebody did."""
    rates = report.evidence.known_rates
    cells = [cell.label for cell in report.evidence.cells if not rates.is_selected(cell)]
    if rates.selected and cells and report.evidence.protocol["rate"] == SELECTED:
        yield Caveat(
            Weight.LIMIT,
            f"Nobody has chosen the learning rates of {few(cells)} yet, so that they may be better at another: "
            f"`{catalogue().command('select')}` finds rates on held-out training images.",
        )


SECTION = Section("rates", "Learning rates", tables=(rate_table,), caveats=_caveats)
