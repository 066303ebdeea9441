"""Every cell over its seeds."""

import math
from collections.abc import Iterator
from itertools import groupby

from bench.plan.catalogue import catalogue
from bench.plan.cells import preset_cell
from bench.report.report import Report
from bench.report.sections.cells.results import CellResult, cell_results
from bench.report.sections.confusion.recalls import BALANCED, recalls
from bench.report.sections.section import Caveat, Place, Section, Weight
from bench.report.show.table import Table, flat, interval_column, number_column, text_column
from bench.report.show.words import count, few, percent, percent_interval, plural


def cell_table(report: Report) -> Table:
    """One row per cell."""
    recalled = recalls(report)
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
            number_column("sd", "sd", lambda sd: "" if math.isnan(sd) else f"{sd * 100:.2f}", falling=False),
            number_column("lowest", "lowest", percent),
            number_column("highest", "highest", percent),
            number_column("n", "n", str),
            number_column("collapsed", "collapsed", str),
            number_column(BALANCED.name, "balanced", percent),
            number_column("not finished", "unfinished", str),
            number_column("training accuracy", "train_accuracy", percent),
            number_column("parameters", "parameters", count, falling=False),
            number_column("MACs", "macs", count, falling=False),
            number_column("training", "train_speed", count),
            number_column("inference", "inference_speed", count),
            number_column(
                "latency",
                "latency",
                lambda seconds: "" if math.isnan(seconds) else f"{seconds * 1000:.2f}",
                falling=False,
            ),
        ),
        rows=tuple(
            {
                "cell": result.cell.label,
                **flat("accuracy", result.accuracy),
                "median": result.median,
                "collapsed": result.collapsed,
                "lowest": result.accuracy.minimum,
                "highest": result.accuracy.maximum,
                "balanced": recalled[result.cell].balanced.mean if result.cell in recalled else None,
                "unfinished": result.unfinished,
                "train_accuracy": result.train_accuracy,
                "parameters": result.cost.parameters,
                "macs": result.cost.macs,
                "train_speed": result.cost.train_speed,
                "inference_speed": result.cost.inference_speed,
                "latency": result.cost.latency,
            }
            for result in cell_results(report)
        ),
        telling=lambda row: row["accuracy"],
    )


def _caveats(report: Report) -> Iterator[Caveat]:
    """Trials that count in no mean or tell little, and cells that lack some."""
    unfinished = report.evidence.unfinished
    for status in ("diverged", "failed"):
        rows = unfinished[unfinished["status"] == status]
        if len(rows):
            cells = few(sorted(rows["cell"].unique()))
            yield Caveat(Weight.MEANING, f"{plural(len(rows), 'trial')} {status} and count in no mean: {cells}.")
    yield from _collapsed(report)
    yield from _grown(report)
    yield from _incomplete(report)


def _collapsed(report: Report) -> Iterator[Caveat]:
    """Trials that ended no better than guessing."""
    fallen = [result for result in cell_results(report) if result.collapsed]
    if fallen:
        said = [f"{result.cell.label} {result.collapsed} of {result.accuracy.n}" for result in fallen]
        yield Caveat(
            Weight.MEANING,
            f"Collapsed: {plural(sum(r.collapsed for r in fallen), 'trial')} ended at chance level: {few(said)}. A "
            "difference to such a cell says that one of the two didn't train, not by how much a technique helps; its "
            "mean and interval are to be taken with the median.",
        )


def _grown(report: Report) -> Iterator[Caveat]:
    """Networks that train with more parameters than they are deployed with."""
    sizes: dict[str, float] = {}
    for rows in (report.evidence.trials, report.evidence.held_out):
        other = rows.dropna(subset="training_parameters")
        if len(other):
            sizes |= dict(zip(other["cell"], other["training_parameters"], strict=True))
    if sizes:
        said = few([f"{cell} {count(size)}" for cell, size in sizes.items()])
        yield Caveat(
            Weight.LIMIT,
            "Computed weights: parameters and MACs are of networks as they are deployed, with weights that training "
            f"computes from other ones once computed. While they train, parameters are more: {said}.",
        )


def _incomplete(report: Report) -> Iterator[Caveat]:
    """Cells with fewer seeds than their like. A design may give more seeds to presets than to toggles, or to toggles
    than to combinations; what is short is short of the cells with as many techniques changed. Where seeds went where
    they decide, none is short."""
    if report.evidence.looks:
        return
    missing = []
    for _, alike in groupby(sorted(cell_results(report), key=_changes), key=_changes):
        trained = [result.accuracy.n + result.unfinished for result in alike]
        missing += [max(trained) - number for number in trained if number < max(trained)]
    if missing:
        yield Caveat(
            Weight.LIMIT,
            f"Incomplete: fewer seeds than their like in {plural(len(missing), 'cell')} of "
            f"{len(report.evidence.cells)}, {plural(sum(missing), 'trial')} in all. "
            f"`{catalogue().command('run')}` with the same options trains what is missing.",
        )


def _changes(result: CellResult) -> int:
    """In how many techniques a cell differs from its model's preset."""
    return len(result.cell.differences(preset_cell(result.cell.architecture)))


SECTION = Section("cells", "Every cell", Place.OPEN, tables=(cell_table,), charts=("cells.chart",), caveats=_caveats)
