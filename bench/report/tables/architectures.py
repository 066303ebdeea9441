"""The models at their presets, beside what was published of them: layers and cost, targets, training progress."""

import math
from collections.abc import Iterator, Sequence

from bench.plan.architecture import Architecture
from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.factors import level_of
from bench.plan.levels import format_level
from bench.report.analysis import Analysis, CellResult
from bench.report.curves import Curve
from bench.report.stats.estimate import estimate
from bench.report.stats.published import hold_against
from bench.report.tables.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.words import count, percent, percent_interval, points

# The epochs that progress is shown after, of longer trainings also the last.
_PROGRESS_EPOCHS = (1, 5, 15)

PUBLISHED_RULE = (
    "A published accuracy is one run's, and so is held against the 95 % prediction interval of one more run, which has "
    "the same test images: rows contradict a figure that lies above, support one that doesn't and that a run reached, "
    "and leave any other unsettled."
)

# What stands for a receptive field without a number.
WHOLE_IMAGE = "whole image"


def architecture_table(analysis: Analysis) -> Table:
    """One row per model whose preset was trained."""
    published = _any_published(analysis)
    return Table(
        name="architectures",
        title="The models",
        caption="Layers, receptive field (pixels) and multiply-accumulates of one image are computed; accuracy is "
        "the last epoch's on the test set, a mean over seeds with its 95 % t interval; throughputs are medians in "
        "images/s with one thread.",
        columns=(
            text_column("model", "model"),
            number_column("parameters", "parameters", count),
            number_column("layers", "layers", str),
            number_column("pools", "pools", str),
            *(text_column(factor.name.replace("_", " "), factor.name) for factor in catalogue().factors),
            number_column("receptive field", "receptive_field", str),
            number_column("MACs", "macs", count),
            *([number_column("published", "published", percent)] if published else []),
            number_column("measured", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
            number_column("training", "train_speed", count),
            number_column("inference", "inference_speed", count),
        ),
        rows=tuple(_architecture_row(analysis, result) for result in analysis.presets),
    )


def target_table(analysis: Analysis) -> Table:
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
        rows=tuple(_target_rows(analysis)),
    )


def progress_table(analysis: Analysis) -> Table:
    """One row per preset."""
    published, epochs = _any_published(analysis), _progress_epochs(analysis)
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
        rows=tuple(_progress_row(analysis, curve, epochs) for curve in analysis.preset_curves),
    )


def _architecture_row(analysis: Analysis, result: CellResult) -> TableRow:
    architecture = find_architecture(result.cell.architecture)
    levels = result.cell.levels
    layers = analysis.layers.get(result.cell)
    published = _published_accuracy(analysis, architecture)
    return {
        "model": architecture.name,
        "parameters": result.cost.parameters,
        "layers": None if layers is None else sum(layer.macs > 0 for layer in layers),
        "pools": None if layers is None else sum(layer.is_pool for layer in layers),
        **{factor.name: format_level(level_of(levels, factor)) for factor in catalogue().factors},
        "receptive_field": WHOLE_IMAGE if result.cost.receptive_field is None else result.cost.receptive_field,
        "macs": result.cost.macs,
        "published": published,
        **flat("accuracy", result.accuracy),
        "train_speed": result.cost.train_speed,
        "inference_speed": result.cost.inference_speed,
    }


def _target_rows(analysis: Analysis) -> Iterator[TableRow]:
    evidence = analysis.evidence
    for result in analysis.presets:
        published = _published_accuracy(analysis, find_architecture(result.cell.architecture))
        if published is None:
            continue
        elsewhere = evidence.other_precisions[evidence.other_precisions["cell"] == result.cell.label]
        for rows in (evidence.rows(result.cell), *(rows for _, rows in elsewhere.groupby("precision"))):
            accuracies = rows["test_accuracy"].to_numpy(dtype=float)
            accuracy, held = estimate(accuracies), hold_against(accuracies, published)
            yield {
                "model": result.cell.architecture,
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


def _published_accuracy(analysis: Analysis, architecture: Architecture) -> float | None:
    published = architecture.published_on(analysis.evidence.dataset)
    return published.test_accuracy if published else None


def _any_published(analysis: Analysis) -> bool:
    return any(
        find_architecture(result.cell.architecture).published_on(analysis.evidence.dataset)
        for result in analysis.presets
    )


def _progress_epochs(analysis: Analysis) -> list[int]:
    """Those of _PROGRESS_EPOCHS that were reached, and the last."""
    last = max((int(curve.points.index[-1]) for curve in analysis.preset_curves), default=0)
    return sorted({*(epoch for epoch in _PROGRESS_EPOCHS if epoch < last), last})


def _progress_row(analysis: Analysis, curve: Curve, epochs: Sequence[int]) -> TableRow:
    row: dict[str, object] = {"model": curve.cell.architecture, "n": curve.n}
    published = find_architecture(curve.cell.architecture).published_on(analysis.evidence.dataset)
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
