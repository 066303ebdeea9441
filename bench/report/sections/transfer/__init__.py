"""Transfer: what a phase of training on another data set is worth."""

from collections.abc import Iterable, Iterator

from bench.report.report import Report
from bench.report.sections.section import Place, Section
from bench.report.sections.transfer.results import Beginning, beginnings
from bench.report.show.table import Table, TableRow, flat, flat_difference, interval_column, number_column, text_column
from bench.report.show.words import (
    count,
    how_surely,
    listed,
    percent,
    percent_interval,
    points,
    points_interval,
    sentence,
    shortened,
)

_MOST_SENTENCES = 4


def transfer_table(report: Report) -> Table:
    """A row per model, beginning and number of training images."""
    return Table(
        name="transfer",
        title="A phase of training before",
        caption="Test accuracy by what a training begins with and how many images it has of its own, mean over seeds "
        "with the 95 % t interval: the phase hands on all layers but the last, and a frozen body doesn't learn on. "
        "Beside it how many points more that is than on the same images without a phase, and than with as many updates "
        "on these images, both over all seeds of either. Helps and hurts hold for all rows together. Updates and "
        "seconds are of the phase and the training together, as if every trial had trained its own phase.",
        columns=(
            text_column("model", "model"),
            text_column("begins with", "beginning"),
            number_column("images", "images", count),
            number_column("accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
            number_column("over none", "over_none", points),
            interval_column("95 % interval", "over_none", points_interval),
            text_column("verdict", "verdict"),
            number_column("over as many updates", "over_updates", points),
            interval_column("95 % interval", "over_updates", points_interval),
            number_column("updates", "updates", count),
            number_column("seconds", "seconds", lambda value: f"{value:,.1f}"),
        ),
        rows=tuple(map(_row, beginnings(report))),
    )


def _row(one: Beginning) -> TableRow:
    return {
        "model": one.cell.architecture,
        "beginning": one.beginning,
        "images": one.images,
        **flat("accuracy", one.accuracy),
        **flat_difference("over_none", one.over_none),
        "verdict": str(one.verdict or ""),
        **flat_difference("over_updates", one.over_updates),
        "updates": one.updates,
        "seconds": one.seconds,
    }


def _sentences(report: Report) -> Iterable[str]:
    return shortened(_all_sentences(report), _MOST_SENTENCES, "transfer")


def _all_sentences(report: Report) -> Iterator[str]:
    """What each phase on other images adds, with the fewest images of one's own and with the most."""
    by_line: dict[tuple[str, str], list[Beginning]] = {}
    for one in beginnings(report):
        if one.phase not in ("", report.evidence.dataset) and one.over_none is not None:
            by_line.setdefault((one.cell.architecture, one.beginning), []).append(one)
    for (architecture, beginning), line in by_line.items():
        ends = [line[0], *line[1:][-1:]]
        yield f"{sentence(beginning)} changes the accuracy of {architecture} by {listed([_said(end) for end in ends])}."


def _said(one: Beginning) -> str:
    if one.over_none is None:
        return ""
    control = "" if one.over_updates is None else f", {points(one.over_updates.mean)} against as many updates"
    return (
        f"{points(one.over_none.mean)} points with {one.images:,} training images ({how_surely(one.over_none)}"
        f"{control}: {one.verdict})"
    )


SECTION = Section(
    "transfer",
    "A phase of training before",
    Place.OPEN,
    tables=(transfer_table,),
    charts=("transfer.chart",),
    sentences=_sentences,
)
