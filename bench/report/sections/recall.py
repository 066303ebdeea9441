"""How well each class is recognised: what accuracy hides where classes are of unequal size."""

from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.cells.results import CellResult, preset_results
from bench.report.sections.confusion.recalls import APART, BALANCED, RECALL, recalls
from bench.report.sections.section import Caveat, Section, Weight
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import count, few, percent, percent_interval, plural, sentence


def recall_table(report: Report) -> Table:
    """One row per preset and class."""
    return Table(
        name="recall",
        title="Recall by class",
        caption=f"{sentence(RECALL.what)}, at each model's preset: mean over seeds with the 95 % t interval. Their "
        f"mean is {BALANCED.name}.",
        columns=(
            text_column("model", "model"),
            text_column("class", "class"),
            number_column("test images", "images", count),
            number_column(RECALL.name, "recall", percent),
            interval_column("95 % interval", "recall", percent_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(row for result in preset_results(report) for row in _recall_rows(report, result)),
        telling=lambda row: -row["recall"],
    )


def _recall_rows(report: Report, result: CellResult) -> Iterator[TableRow]:
    if (recall := recalls(report).get(result.cell)) is None:
        return
    names, model = report.evidence.class_names, result.cell.architecture
    for label, estimated in enumerate(recall.of_classes):
        if estimated is not None:
            images = int(recall.images[label])
            yield {"model": model, "class": names[label], "images": images, **flat("recall", estimated)}


def _caveats(report: Report) -> Iterator[Caveat]:
    """Where accuracy hides that some classes are hardly recognised, because others have most of the images."""
    misled = [
        (result, recall)
        for result in preset_results(report)
        if (recall := recalls(report).get(result.cell)) and result.accuracy.mean - recall.balanced.mean > APART
    ]
    if not misled:
        return
    names = report.evidence.class_names
    said = []
    for result, recall in misled:
        never = [names[label] for label in recall.never]
        classes = plural(int((recall.images > 0).sum()), "class", "classes")
        worst = f"{len(never)} of {classes} never: {few(never)}" if never else f"{names[recall.worst]} least"
        said.append(
            f"{result.cell.architecture} {percent(result.accuracy.mean)} accuracy and "
            f"{percent(recall.balanced.mean)} balanced accuracy (recognised {worst})"
        )
    yield Caveat(
        Weight.MEANING,
        "Accuracy misleads here, for classes are of unequal size and the small ones are recognised less: "
        f"{few(said)}. tables/recall.csv has every class.",
    )


SECTION = Section("recall", tables=(recall_table,), caveats=_caveats)
