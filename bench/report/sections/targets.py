"""What was published of the models, beside what the rows say."""

from collections.abc import Iterator, Mapping

from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell
from bench.report.report import Report
from bench.report.sections.cells.results import preset_results
from bench.report.sections.section import Section
from bench.report.show.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import percent, percent_interval, points
from bench.report.stats.estimate import estimate
from bench.report.stats.published import hold_against

PUBLISHED_RULE = (
    "A published accuracy is one run's, and so is held against the 95 % prediction interval of one more run, which has "
    "the same test images: rows contradict a figure that lies above, support one that doesn't and that a run reached, "
    "and leave any other unsettled."
)


def published_accuracies(report: Report) -> Mapping[Cell, float]:
    """What was published of the presets that were trained, on this data set."""
    cells = [result.cell for result in preset_results(report)]
    known = {cell: find_architecture(cell.architecture).published_on(report.evidence.dataset) for cell in cells}
    return {cell: published.test_accuracy for cell, published in known.items() if published}


def target_table(report: Report) -> Table:
    """One row per model that was published on this data set, and one more for each other precision of its trials."""
    return Table(
        name="targets",
        title="Published and measured",
        caption=f"{PUBLISHED_RULE} A model's first row is in the precision that the rest of the report is about.",
        note="Differences are measured minus published, in points. 'Best of all' is the best epoch of the best seed, "
        "picked on test images: what a best-of report would have said, and nothing else.",
        columns=(
            text_column("model", "model"),
            text_column("precision", "precision"),
            number_column("published", "published", percent),
            number_column("measured", "accuracy", percent),
            number_column("difference", "difference", points),
            interval_column("one more run", "one_more", percent_interval),
            number_column("n", "n", str),
            Column("reached it", "reached", lambda row: f"{row['reached']} of {row['n']}"),
            text_column("these rows", "status"),
            number_column("best of all", "best", percent),
        ),
        rows=tuple(_target_rows(report)),
    )


def _target_rows(report: Report) -> Iterator[TableRow]:
    evidence = report.evidence
    for cell, published in published_accuracies(report).items():
        elsewhere = evidence.other_precisions[evidence.other_precisions["cell"] == cell.label]
        for rows in (evidence.rows(cell), *(rows for _, rows in elsewhere.groupby("precision"))):
            accuracies = rows["test_accuracy"].to_numpy(dtype=float)
            accuracy, held = estimate(accuracies), hold_against(accuracies, published)
            yield {
                "model": cell.architecture,
                "precision": rows["precision"].iloc[0],
                "published": published,
                "accuracy": accuracy.mean,
                **flat("difference", accuracy.shifted(-published)),
                "one_more_low": held.low,
                "one_more_high": held.high,
                "reached": held.reached,
                "status": str(held.status),
                "best": rows["best_test_accuracy"].max(),
            }


SECTION = Section("targets", tables=(target_table,))
