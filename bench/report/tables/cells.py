"""Every cell over its seeds, where its variance comes from, and the images that networks miss."""

import math
from collections.abc import Iterator

from bench.report.analysis import Analysis, CellResult
from bench.report.recall import BALANCED, RECALL
from bench.report.tables.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.words import count, percent, percent_interval, sentence


def cell_table(analysis: Analysis) -> Table:
    """One row per cell."""
    return Table(
        name="cells",
        title="Every cell",
        caption="Test accuracy of the last epoch over seeds: mean, 95 % t interval, median, standard deviation in "
        "points, range, n. A cell is named by its model and what differs from its preset. Trials that diverged "
        "or failed count in no mean and are counted here. Collapsed are trials that ended within the sampling error of "
        "chance: of such and others a mean tells little, and its interval holds the truth far less often than it says. "
        "Balanced accuracy is the mean of the classes' recalls, in which every class counts alike. Throughputs are "
        "medians in images/s with one thread; latency is of one image, in ms.",
        columns=(
            text_column("cell", "cell"),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("median", "median", percent),
            number_column("sd", "sd", lambda sd: "" if math.isnan(sd) else f"{sd * 100:.2f}"),
            number_column("lowest", "lowest", percent),
            number_column("highest", "highest", percent),
            number_column("n", "n", str),
            number_column("collapsed", "collapsed", str),
            number_column(BALANCED.name, "balanced", percent),
            number_column("not finished", "unfinished", str),
            number_column("training accuracy", "train_accuracy", percent),
            number_column("parameters", "parameters", count),
            number_column("MACs", "macs", count),
            number_column("training", "train_speed", count),
            number_column("inference", "inference_speed", count),
            number_column("latency", "latency", lambda seconds: "" if math.isnan(seconds) else f"{seconds * 1000:.2f}"),
        ),
        rows=tuple(
            {
                "cell": result.cell.label,
                **flat("accuracy", result.accuracy),
                "median": result.median,
                "collapsed": result.collapsed,
                "lowest": result.accuracy.minimum,
                "highest": result.accuracy.maximum,
                "balanced": result.recall.balanced.mean if result.recall else None,
                "unfinished": result.unfinished,
                "train_accuracy": result.train_accuracy,
                "parameters": result.cost.parameters,
                "macs": result.cost.macs,
                "train_speed": result.cost.train_speed,
                "inference_speed": result.cost.inference_speed,
                "latency": result.cost.latency,
            }
            for result in analysis.cells
        ),
        telling=lambda row: row["accuracy"],
    )


def recall_table(analysis: Analysis) -> Table:
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
        rows=tuple(row for result in analysis.presets for row in _recall_rows(analysis, result)),
        telling=lambda row: -row["recall"],
    )


def _recall_rows(analysis: Analysis, result: CellResult) -> Iterator[TableRow]:
    if (recall := result.recall) is None:
        return
    names, model = analysis.evidence.class_names, result.cell.architecture
    for label, estimated in enumerate(recall.of_classes):
        if estimated is not None:
            images = int(recall.images[label])
            yield {"model": model, "class": names[label], "images": images, **flat("recall", estimated)}


def variance_table(analysis: Analysis) -> Table:
    """One row per cell with two or more seeds."""
    return Table(
        name="variance",
        title="Where the spread comes from",
        caption="The standard deviation between seeds, in points, split into what an endless test set would still show "
        "(networks that really differ) and what this test set adds (which images near the edge each network happens to "
        "get), after Jordan 2023. The last column is another matter: by how much a cell's mean would move on "
        "another test set of this size. The intervals in this report are about seeds on this test set.",
        columns=(
            text_column("cell", "cell"),
            number_column("observed", "observed", _points),
            number_column("networks", "seed", _points),
            number_column("test set", "test_set", _points),
            number_column("another test set", "sampling", _points),
            number_column("n", "n", str),
        ),
        rows=tuple(
            {
                "cell": result.cell.label,
                "observed": variance.observed,
                "seed": variance.seed,
                "test_set": variance.test_set,
                "sampling": variance.sampling,
                "n": variance.seeds,
            }
            for result in analysis.cells
            if (variance := result.variance) is not None
        ),
        telling=lambda row: row["observed"],
    )


def hardest_table(analysis: Analysis) -> Table:
    """One row per image."""
    names = analysis.evidence.class_names
    return Table(
        name="hardest",
        title="The hardest test images",
        caption="The test images that most trials missed, with their index in the test set.",
        columns=(
            number_column("image", "image", str),
            number_column("label", "label", str),
            number_column("missed by", "missed", lambda share: f"{share:.0%}".replace("%", " %")),
        ),
        rows=tuple(
            {"image": image.index, "label": image.class_name(names), "missed": image.missed}
            for image in analysis.hardest
        ),
    )


def _points(sd: float) -> str:
    return f"{sd * 100:.3f}"
