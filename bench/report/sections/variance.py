"""Where the spread between seeds comes from."""

from collections.abc import Iterator

from bench.plan.cells import Cell
from bench.report.report import Report
from bench.report.sections.section import Section
from bench.report.show.table import Table, number_column, text_column
from bench.report.stats.noise import VarianceSplit, split_variance


def variance_table(report: Report) -> Table:
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
                "cell": cell.label,
                "observed": variance.observed,
                "seed": variance.seed,
                "test_set": variance.test_set,
                "sampling": variance.sampling,
                "n": variance.seeds,
            }
            for cell, variance in _split(report)
        ),
        telling=lambda row: row["observed"],
    )


def _split(report: Report) -> Iterator[tuple[Cell, VarianceSplit]]:
    for cell in report.evidence.cells:
        _, bits = report.evidence.bits(cell)
        if len(bits) > 1:
            yield cell, split_variance(bits)


def _points(sd: float) -> str:
    return f"{sd * 100:.3f}"


SECTION = Section("variance", tables=(variance_table,))
