"""A table: rows of raw values, and columns that say how each is shown."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.report.show.words import markdown_text, speed_change
from bench.report.stats.estimate import Estimate

TableRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """`show` gives a row's text; rows sort by the raw value under `key`. Numbers stand on the right, and are
    sorted from the highest down at first, unless less is better: where `falling` is false."""

    title: str
    key: str
    show: Callable[[TableRow], str]
    number: bool = True
    falling: bool = True


@dataclass(frozen=True)
class Table:
    """`rows` hold raw values (fractions, counts, ratios), all of which the CSV keeps; people see `columns`.

    `caption` says what every reader needs, `note` what the less common columns mean. Where there is no room for all
    rows, those for which `telling` is the highest are shown, or the first. `topic` is the section that it belongs to.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    note: str = ""
    telling: Callable[[TableRow], Any] | None = None
    topic: str = ""

    def only(self, titles: Sequence[str]) -> "Table":
        """The same table with these columns, in this order."""
        by_title = {column.title: column for column in self.columns}
        return replace(self, columns=tuple(by_title[title] for title in titles))

    def shortened(self, most: int) -> "Table":
        """The same table with at most so many rows, in their order; its caption says which and where the others are."""
        if len(self.rows) <= most:
            return self
        places = list(range(len(self.rows)))
        if (telling := self.telling) is not None:
            places = sorted(sorted(places, key=lambda place: telling(self.rows[place]), reverse=True)[:most])
        which = "first" if self.telling is None else "most telling"
        return self._of([self.rows[place] for place in places[:most]], f"{most:,} {which} of {len(self.rows):,} rows")

    def with_seeds(self, least: int) -> "Table":
        """The same table without rows of fewer seeds, where any has so many; its caption says where the others are."""
        rows = [row for row in self.rows if row["n"] >= least]
        if len(rows) in {0, len(self.rows)}:
            return self
        return self._of(rows, f"{len(rows):,} of {len(self.rows):,} rows that have at least {least} seeds")

    def _of(self, rows: Sequence[TableRow], which: str) -> "Table":
        said = f"Shown are the {which}; tables/{self.name}.csv has them all."
        return replace(self, rows=tuple(rows), caption=f"{self.caption} {said}")

    @cached_property
    def texts(self) -> list[list[str]]:
        """What people see, row by row."""
        return [[column.show(row) for column in self.columns] for row in self.rows]

    def sort_keys(self) -> list[list[str]]:
        """The raw values that rows sort by, as text; empty for what wasn't measured."""
        return [[_plain(row[column.key]) for column in self.columns] for row in self.rows]

    def markdown(self) -> str:
        """A table as GitHub draws it."""
        escaped = [[markdown_text(text) for text in texts] for texts in self.texts]
        return self._tabulated(escaped, "pipe")

    def latex(self) -> str:
        """A tabular for the booktabs package."""
        return self._tabulated(self.texts, "latex_booktabs")

    def csv(self) -> str:
        """Every raw value at full precision; an empty field was not measured."""
        return pd.DataFrame(list(self.rows)).to_csv(index=False, lineterminator="\n")

    def _tabulated(self, texts: list[list[str]], form: str) -> str:
        return tabulate(
            texts,
            headers=[column.title for column in self.columns],
            tablefmt=form,
            disable_numparse=True,
            colalign=["right" if column.number else "left" for column in self.columns],
        )


def text_column(title: str, key: str) -> Column:
    """A column of words as they are; empty for None."""
    return Column(title, key, lambda row: "" if row[key] is None else str(row[key]), number=False, falling=False)


def number_column(title: str, key: str, show: Callable[[float], str], *, falling: bool = True) -> Column:
    """A column of numbers; empty for None."""
    return Column(title, key, lambda row: "" if row[key] is None else show(row[key]), falling=falling)


def interval_column(title: str, name: str, show: Callable[[float, float], str]) -> Column:
    """The interval of the estimate that `flat` put under `name`, or of the difference of `flat_difference`."""
    low, high = f"{name}_low", f"{name}_high"
    return Column(title, low, lambda row: "" if row[low] is None else show(row[low], row[high]))


def speed_column(title: str, name: str) -> Column:
    """The speed ratio that `flat_speed` put under `name`, as a change in percent with its interval."""
    return Column(title, name, lambda row: speed_change(row[name], row[f"{name}_low"], row[f"{name}_high"]))


def flat(name: str, estimate: Estimate) -> TableRow:
    """An estimate as raw values: its mean under `name`, its interval, its spread and its n."""
    return {
        name: estimate.mean,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        "sd": estimate.sd,
        "n": estimate.n,
    }


def flat_difference(name: str, difference: Estimate | None) -> TableRow:
    """A difference as raw values beside an estimate's: its mean under `name` and its interval, None where it isn't
    known."""
    known = (None, None, None) if difference is None else (difference.mean, difference.low, difference.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), known, strict=True))


def flat_speed(name: str, ratio: Estimate | None) -> TableRow:
    """A speed ratio as raw values, NaN where nothing was timed."""
    if ratio is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    return {name: ratio.mean, f"{name}_low": ratio.low, f"{name}_high": ratio.high}


def _plain(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)
