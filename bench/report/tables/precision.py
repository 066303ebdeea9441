"""Whether a precision changes the answer."""

from bench.plan.catalogue import catalogue
from bench.plan.factors import level_of
from bench.report.analysis import Analysis
from bench.report.precision import REFERENCE, PrecisionEffect
from bench.report.tables.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.words import margin_points, percent, points, points_interval


def precision_table(analysis: Analysis) -> Table:
    """A row per cell that was trained in two precisions, and one per technique that was switched in both."""
    return Table(
        name="precision",
        title="The same trials in another precision",
        caption=f"What another precision than {REFERENCE} changes, in percentage points with the 95 % t interval: of a "
        "cell's test accuracy after the last epoch, and of what a technique adds to it (a difference of differences); "
        "means over all seeds of each cell, of which the one with the fewest has n. "
        f"Equivalent is what surely changes by less than the margin of {margin_points(analysis.margin)} points, for "
        "all cells together and for all techniques together.",
        columns=(
            text_column("what", "what"),
            text_column("precision", "precision"),
            Column("in it", "value", lambda row: _shown(row, "value")),
            Column(f"in {REFERENCE}", "reference", lambda row: _shown(row, "reference")),
            number_column("difference", "difference", points),
            interval_column("95 % interval", "difference", points_interval),
            number_column("n", "n", str),
            text_column("verdict", "verdict"),
        ),
        rows=tuple(_row(effect) for effect in analysis.precisions),
        telling=lambda row: abs(row["difference"]),
    )


def _row(effect: PrecisionEffect) -> TableRow:
    return {
        "what": _what(effect),
        "is_effect": effect.baseline is not None,
        "precision": effect.precision,
        "value": effect.value,
        "reference": effect.reference,
        **flat("difference", effect.difference),
        "verdict": str(effect.verdict),
    }


def _what(effect: PrecisionEffect) -> str:
    if effect.baseline is None:
        return f"accuracy of {effect.cell.label}"
    [factor] = effect.cell.differences(effect.baseline)
    level = level_of(effect.cell.levels, catalogue().by_name[factor.name])
    return f"effect of {factor.in_words(level)} on {effect.cell.architecture}"


def _shown(row: TableRow, key: str) -> str:
    return points(row[key]) if row["is_effect"] else percent(row[key])
