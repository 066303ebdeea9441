"""What readouts of the same trainings are worth, and ensembles of seeds."""

from collections.abc import Iterator

from bench.plan.readouts import READOUTS
from bench.record.probabilities import BINS
from bench.report.analysis import Analysis
from bench.report.readouts import EnsembleResult, ReadoutResult
from bench.report.stats.estimate import Estimate
from bench.report.tables.table import (
    Column,
    Table,
    TableRow,
    flat,
    interval_column,
    number_column,
    text_column,
)
from bench.report.words import count, percent, percent_interval, points, points_interval

_CALIBRATION = (
    "The loss is in nats; the Brier score is the mean square distance of the probabilities from the right answer, "
    "summed over classes; the calibration error is how far accuracy and confidence are apart, over "
    f"{BINS} bins of confidence. All three are better the lower they are."
)


def readout_table(analysis: Analysis) -> Table:
    """A row per cell and readout of the cells whose trainings were read out."""
    return Table(
        name="readouts",
        title="Readouts of the same trainings",
        caption="What else can be done with what one training left, at its last epoch and without training anew: test "
        "accuracy over seeds with the 95 % t interval, and how many points it is above that of the last step's weights "
        "of the same trainings, which pairs the two. The best of several readouts on test images is a best of several. "
        f"An image takes so many forward passes with so many networks. {_CALIBRATION}",
        columns=(
            text_column("cell", "cell"),
            text_column("readout", "readout"),
            text_column("what predicts", "words"),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("over last", "gain", points),
            Column("95 % interval of that", "gain_low", _gain_interval),
            number_column("n", "n", str),
            *_quality_columns(),
            number_column("networks", "networks", str),
            number_column("passes", "passes", str),
        ),
        rows=tuple(map(_readout_row, analysis.readouts)),
    )


def ensemble_table(analysis: Analysis) -> Table:
    """A row per cell and size of ensemble."""
    return Table(
        name="ensembles",
        title="Ensembles of seeds",
        caption="Networks of one cell that differ in their seed alone, with their probabilities averaged: means over "
        "disjoint groups of so many seeds, in their order, with the 95 % t interval over the groups; one group has "
        "none. Inference takes so many times the parameters and the time of one network. "
        f"{_CALIBRATION}",
        columns=(
            text_column("cell", "cell"),
            number_column("seeds", "size", str),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("groups", "n", str),
            *_quality_columns(),
            number_column("parameters", "parameters", count),
        ),
        rows=tuple(row for result in analysis.ensembles for row in _ensemble_rows(result)),
    )


def _quality_columns() -> tuple[Column, ...]:
    return (
        number_column("loss", "loss", lambda value: f"{value:.4f}"),
        number_column("Brier score", "brier", lambda value: f"{value:.4f}"),
        number_column("calibration error", "calibration_error", percent),
    )


def _gain_interval(row: TableRow) -> str:
    return "" if row["gain"] is None else points_interval(row["gain_low"], row["gain_high"])


def _readout_row(result: ReadoutResult) -> TableRow:
    gain = result.gain
    return {
        "cell": result.cell.label,
        "readout": result.readout,
        "words": READOUTS[result.readout].words,
        **flat("accuracy", result.accuracy),
        "gain": None if gain is None else gain.mean,
        "gain_low": None if gain is None else gain.low,
        "gain_high": None if gain is None else gain.high,
        **_means(loss=result.loss, brier=result.brier, calibration_error=result.calibration_error),
        "networks": result.networks,
        "passes": result.passes,
    }


def _ensemble_rows(result: EnsembleResult) -> Iterator[TableRow]:
    for one in result.by_size:
        yield {
            "cell": result.cell.label,
            "size": one.size,
            **flat("accuracy", one.accuracy),
            **_means(loss=one.loss, brier=one.brier, calibration_error=one.calibration_error),
            "parameters": one.size * result.parameters,
        }


def _means(**estimates: Estimate) -> TableRow:
    return {name: one.mean for name, one in estimates.items()}
