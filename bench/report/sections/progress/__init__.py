"""How training goes on, epoch by epoch."""

import math
from collections.abc import Sequence

from bench.plan.catalogue import find_architecture
from bench.report.report import Report
from bench.report.sections.progress.curves import Curve, preset_curves
from bench.report.sections.section import Section
from bench.report.sections.targets import published_accuracies
from bench.report.show.table import Column, Table, TableRow, number_column, text_column

# The epochs that progress is shown after, of longer trainings also the last.
_PROGRESS_EPOCHS = (1, 5, 15)


def progress_table(report: Report) -> Table:
    """One row per preset."""
    published, epochs = bool(published_accuracies(report)), _progress_epochs(report)
    return Table(
        name="progress",
        title="Training progress",
        caption="Accuracy in training (on distorted images, while the weights move) and on the test set after epochs "
        f"{', '.join(map(str, epochs))}, means over seeds{', and as published in brackets' if published else ''}; the "
        "epoch at which test accuracy first reached 99 %, mean over the seeds that did.",
        columns=(
            text_column("model", "model"),
            *(_progress_column(epoch) for epoch in epochs),
            Column("epochs to 99 %", "epochs_to_99", _epochs_to_99),
            number_column("n", "n", str),
        ),
        rows=tuple(_progress_row(report, curve, epochs) for curve in preset_curves(report)),
    )


def _progress_epochs(report: Report) -> list[int]:
    """Those of _PROGRESS_EPOCHS that were reached, and the last."""
    last = max((int(curve.points.index[-1]) for curve in preset_curves(report)), default=0)
    return sorted({*(epoch for epoch in _PROGRESS_EPOCHS if epoch < last), last})


def _progress_row(report: Report, curve: Curve, epochs: Sequence[int]) -> TableRow:
    row: dict[str, object] = {"model": curve.cell.architecture, "n": curve.n}
    published = find_architecture(curve.cell.architecture).published_on(report.evidence.dataset)
    for epoch in epochs:
        there = epoch in curve.points.index
        row[f"train_{epoch}"] = float(curve.points["train"].loc[epoch]) if there else math.nan
        row[f"test_{epoch}"] = float(curve.points["test"].loc[epoch]) if there else math.nan
        row[f"published_{epoch}"] = published.curve.get(epoch) if published else None
    reached = curve.epochs_to_99
    return row | {
        "epochs_to_99": reached.mean if reached else math.nan,
        "seeds_to_99": reached.n if reached else 0,
    }


def _progress_column(epoch: int) -> Column:
    def show(row: TableRow) -> str:
        train, test, published = row[f"train_{epoch}"], row[f"test_{epoch}"], row[f"published_{epoch}"]
        if math.isnan(test):
            return ""
        measured = f"{train * 100:.2f} \N{RIGHTWARDS ARROW} {test * 100:.2f}"
        if published is None:
            return measured
        return f"{measured} ({published[0] * 100:.2f} \N{RIGHTWARDS ARROW} {published[1] * 100:.2f})"

    return Column(f"epoch {epoch}, train \N{RIGHTWARDS ARROW} test", f"test_{epoch}", show)


def _epochs_to_99(row: TableRow) -> str:
    if not row["seeds_to_99"]:
        return "not reached"
    seeds = "" if row["seeds_to_99"] == row["n"] else f" ({row['seeds_to_99']} of {row['n']} seeds)"
    return f"{row['epochs_to_99']:.1f}{seeds}"


SECTION = Section("progress", tables=(progress_table,), charts=("progress.chart",))
