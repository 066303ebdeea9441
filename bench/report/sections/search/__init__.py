"""Searches of architectures: what they found, what they cost, and whether they beat random search."""

import math
from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.search.results import SearchArm, Searched, searches
from bench.report.sections.section import Section
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import count, how_surely, percent, percent_interval, plural, points, seeds_of


def search_table(report: Report) -> Table:
    """A row per search, and one for the random search beside it."""
    return Table(
        name="searches",
        title="Search of architectures",
        caption="Networks that a search suggested, and random search beside it at no lower cost, in epochs of training "
        "on the same images. Of each the one that is best after all epochs on held-out training images, which is the "
        "best of many on these; and its test accuracy, trained anew on all training images with seeds that no search "
        "trained with: mean with its 95 % t interval.",
        columns=(
            text_column("", "search"),
            number_column("parameters allowed", "limit", count),
            text_column("precision", "precision"),
            number_column("trials", "trials", str),
            number_column("epochs", "epochs", count),
            number_column("hours of a worker", "hours", "{:.1f}".format),
            text_column("best network", "cell"),
            number_column("parameters", "parameters", count),
            number_column("held-out accuracy", "held_out", percent),
            number_column("test accuracy", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(_row(one, arm) for one in searches(report) for arm in one.arms),
    )


_UNKNOWN = {"accuracy": math.nan, "accuracy_low": math.nan, "accuracy_high": math.nan, "sd": math.nan, "n": 0}


def _row(one: Searched, arm: SearchArm) -> TableRow:
    return {
        "search": arm.name,
        "limit": arm.limit or None,
        "precision": one.precision,
        "trials": arm.trials,
        "epochs": arm.epochs,
        "hours": arm.seconds / 3600,
        "cell": arm.winner.label,
        "parameters": arm.parameters,
        "held_out": arm.held_out,
        **(flat("accuracy", arm.accuracy) if arm.accuracy else _UNKNOWN),
    }


def _sentences(report: Report) -> Iterator[str]:
    for one in searches(report):
        yield from _verdict(one)
        for arm in one.arms:
            if arm.met > 1:
                yield (
                    f"{plural(arm.met, 'network')} of the {arm.name} have met the test set, so that the best of them "
                    f"is the best of {arm.met}."
                )


def _verdict(one: Searched) -> Iterator[str]:
    allowed = (f" with at most {one.limit:,} parameters" if one.limit else "") + f" in {one.precision}"
    if one.difference is None:
        if len(one.arms) == 2 and one.arms[0].winner == one.arms[1].winner:
            yield f"The search{allowed} and random search found the same network, {one.arms[0].winner.label}."
        return
    difference, seeds = one.difference, seeds_of(*(len(arm.fresh) for arm in one.arms))
    surely = f"{points(difference.mean)} points ({how_surely(difference, seeds)})"
    if difference.has_interval and difference.low > 0:
        said = f"beats random search's at no lower cost: {surely}"
    elif difference.has_interval and difference.high < 0:
        said = f"is worse than random search's: {surely}"
    else:
        said = f"isn't told apart from random search's: {surely}"
    yield (
        f"The winner of the search{allowed} {said}. The interval is over seeds of two networks, not over searches: "
        "another search may find another network."
    )


SECTION = Section(
    "search", "Search of architectures", tables=(search_table,), charts=("search.chart",), sentences=_sentences
)
