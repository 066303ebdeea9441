"""What readouts of the same trainings are worth."""

from bench.plan.readouts import known_readouts
from bench.report.report import Report
from bench.report.sections.measured_quality import QUALITY, means, quality_columns
from bench.report.sections.readouts.results import ReadoutResult, readout_results
from bench.report.sections.section import Section
from bench.report.show.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import percent, percent_interval, points, points_interval


def readout_table(report: Report) -> Table:
    """A row per cell and readout of the cells whose trainings were read out."""
    return Table(
        name="readouts",
        title="Readouts of the same trainings",
        caption="What else can be done with what one training left, at its last epoch and without training anew: test "
        "accuracy over seeds with the 95 % t interval, and how many points it is above that of the last step's weights "
        "of the same trainings, which pairs the two. The best of several readouts on test images is a best of several. "
        f"An image takes so many forward passes with so many networks. {QUALITY}",
        columns=(
            text_column("cell", "cell"),
            text_column("readout", "readout"),
            text_column("what predicts", "words"),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("over last", "gain", points),
            Column("95 % interval of that", "gain_low", _gain_interval),
            number_column("n", "n", str),
            *quality_columns(),
            number_column("networks", "networks", str),
            number_column("passes", "passes", str),
        ),
        rows=tuple(map(_readout_row, readout_results(report))),
    )


def _gain_interval(row: TableRow) -> str:
    return "" if row["gain"] is None else points_interval(row["gain_low"], row["gain_high"])


def _readout_row(result: ReadoutResult) -> TableRow:
    gain = result.gain
    return {
        "cell": result.cell.label,
        "readout": result.readout,
        "words": known_readouts()[result.readout].words,
        **flat("accuracy", result.accuracy),
        "gain": None if gain is None else gain.mean,
        "gain_low": None if gain is None else gain.low,
        "gain_high": None if gain is None else gain.high,
        **means(loss=result.loss, brier=result.brier, calibration_error=result.calibration_error),
        "networks": result.networks,
        "passes": result.passes,
    }


SECTION = Section("readouts", "Other ways to predict", tables=(readout_table,))
