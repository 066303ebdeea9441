"""Which of the recorded rows a report is about: one protocol's, of the networks and the code that are asked for."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.errors import UsageError, near_matches
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, recorded_cell
from bench.plan.proposing import FIRST_SEEDS
from bench.record.columns import columns
from bench.record.schema import TrialRow
from bench.report.show.words import plural
from bench.report.siblings import at_presets_rate

# Rows that differ in one of these are never pooled; nor are rows at different rates. The columns of the parts that
# every trial of a protocol shares come from what the rows' training digests are made of.
_SHARED = ["epochs", "batch_size", "optimizer", "device", "data", "loop", "optimizer_code"]
_OF_PRECISION = ["precision", "evaluation"]

# Parts that go with a factor's level: of each level the newest counts.
_BY_LEVEL = {"schedule": "scheduler", "augmentation_code": "augmentation"}
_CODES = (*((part, [factor, "changed"]) for part, factor in _BY_LEVEL.items()), ("own", ["changed"]))
_PARTS = {
    "loop": "loop",
    "evaluation": "evaluation",
    "optimizer": "optimizer_code",
    "schedule": "schedule",
    "augmentation": "augmentation_code",
}

SELECTED = "selected"

# What of a protocol is an axis that reports draw, besides the learning rate.
SWEPT = ("epochs", "batch_size")

# The digest of the network that a cell has today, on images of a shape (as in 3x32x32) and so many classes; None where
# it can't be built.
Networks = Callable[[Cell, str, int], str | None]


@dataclass(frozen=True)
class Chosen:
    """`rows` are of one protocol and `siblings` of those that differ from it in precision alone, newest of each cell
    and seed, with their cell's label in `cell`; `protocol` has what they share. `rates` are the protocol's rows at
    every learning rate, newest of each cell, seed and rate; `swept` those that differ in one of SWEPT
    alone, by column."""

    protocol: Mapping[str, object]
    cells: Mapping[str, Cell]
    rows: pd.DataFrame
    siblings: pd.DataFrame
    rates: pd.DataFrame
    swept: Mapping[str, pd.DataFrame]
    left_out: tuple[str, ...]


def narrowed(rows: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    """The rows with these values in these columns; numbers may be written in any way. Raises UsageError for an unknown
    column."""
    for name, value in where.items():
        if name not in rows.columns:
            raise UsageError(f"rows have no column {name!r}: {near_matches(name, columns(TrialRow))}")
        rows = rows[rows[name].map(lambda found, value=value: _matches(found, value)).astype(bool)]
    return rows


def choose(
    rows: pd.DataFrame, parts: pd.DataFrame, networks: Networks | None, prefer: Collection[str] = ()
) -> Chosen | None:
    """The rows of the protocol with the most done trials among those called `prefer`, then in all; of a cell count
    FIRST_SEEDS at most, as many seeds of few cells compare little. Of equals the one with more, and then the newest.

    With `networks` only rows of today's networks count, without it of each cell the newest network's. None where no row
    is left.
    """
    known, cells, strangers = _known(rows, networks)
    if known.empty:
        return None
    known = _at_newest_selection(_with_parts(known, parts))
    equal = at_presets_rate(known, cells, [*_SHARED, *_OF_PRECISION])
    best: tuple[tuple[int, int, int, str], str, pd.DataFrame] | None = None
    for rate, group in _protocols(known):
        # What stands beside the rows at selected rates is no reason to report on its rate alone.
        counted = group[~equal[group.index]]
        done = counted[counted["status"] == "done"]
        preferred = group.loc[group["status"] == "done", "trial"].isin(prefer).sum() if prefer else 0
        told = done.groupby("cell")["seed"].nunique().clip(upper=FIRST_SEEDS).sum()
        rank = (int(preferred), int(told), len(done), str(counted["started_at"].max()))
        if best is None or rank > best[0]:
            best = rank, rate, group
    if best is None:
        return None
    _, rate, chosen = best
    current = _of_newest_code(chosen)
    latest = _latest(current)
    elsewhere = known.drop(chosen.index)
    shared = (elsewhere[_SHARED] == chosen[_SHARED].iloc[0]).all(axis=1)
    siblings = elsewhere[shared & (elsewhere["precision"] != chosen["precision"].iloc[0]) & _at(elsewhere, rate)]
    others = elsewhere.drop(siblings.index)
    swept = others[(others[[*_SHARED, *_OF_PRECISION]] == chosen[[*_SHARED, *_OF_PRECISION]].iloc[0]).all(axis=1)]
    if rate == SELECTED:
        others = others.drop(swept.index[equal[swept.index]])
    protocols = _count(others, equal)
    left_out = [
        f"{plural(len(others), 'trial')} under {plural(protocols, 'other protocol')}" if protocols else "",
        f"{plural(strangers, 'trial')} of networks or augmentations that are not today's" if strangers else "",
        f"{plural(len(chosen) - len(latest), 'trial')} trained anew since" if len(chosen) > len(latest) else "",
    ]
    first = chosen.iloc[0]
    names = ("epochs", "batch_size", "optimizer", "precision", "device", "data")
    newest = chosen.sort_values("started_at", kind="stable").iloc[-1]
    return Chosen(
        protocol={**{name: first[name] for name in names}, "rate": rate, "code": newest["code"]},
        cells=cells,
        rows=latest,
        siblings=_latest(siblings),
        rates=_latest(pd.concat([current, _of_code(swept, current)]), "lr"),
        swept={name: _along(name, current, latest, elsewhere, rate) for name in SWEPT},
        left_out=tuple(filter(None, left_out)),
    )


def _along(column: str, chosen: pd.DataFrame, latest: pd.DataFrame, elsewhere: pd.DataFrame, rate: str) -> pd.DataFrame:
    """The chosen rows, and those that differ from them in one column of the protocol alone, without what was trained
    anew; `latest` are those of the chosen."""
    same = [name for name in (*_SHARED, *_OF_PRECISION) if name != column]
    others = elsewhere[(elsewhere[same] == chosen[same].iloc[0]).all(axis=1) & _at(elsewhere, rate)]
    return _latest(pd.concat([chosen, others]), column) if len(others) else latest


def _known(rows: pd.DataFrame, networks: Networks | None) -> tuple[pd.DataFrame, dict[str, Cell], int]:
    """The rows whose cells there are today, with their label in `cell`, the cells by label, and how many others there
    are."""
    named = ["architecture", *catalogue().columns, "input", "classes", "network"]
    numbers = rows.groupby(named, sort=False, dropna=False).ngroup().to_numpy()
    kinds = rows[named][~pd.Series(numbers).duplicated().to_numpy()]  # a group is numbered as it occurs
    cells = [recorded_cell(values) for values in kinds[named[:-3]].itertuples(index=False, name=None)]
    by_label = {cell.label: cell for cell in cells if cell is not None}
    fits = [
        cell is not None and (networks is None or networks(cell, shape, int(classes)) == network)
        for cell, (shape, classes, network) in zip(
            cells, kinds[named[-3:]].itertuples(index=False, name=None), strict=True
        )
    ]
    fit = np.array(fits, dtype=bool)[numbers]
    labels = np.array([cell and cell.label for cell in cells], dtype=object)
    known = rows[fit].assign(cell=labels[numbers[fit]])
    if networks is None:
        newest = known.sort_values("started_at", kind="stable").groupby("cell")["network"].last()
        known = known[known["network"] == known["cell"].map(newest)]
    return known, by_label, len(rows) - len(known)


def _with_parts(rows: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """With a column for each part of the training digests. A digest that nobody took apart stands for all of them.

    A training that a factor of the study changed has a loop and an optimiser of its own, which its level says as well.
    It is of the protocol of those that nothing changed, so that the two can be compared, and has in `own` what it
    trained with and in `changed` by what.
    """
    apart = parts.pivot_table(index="training", columns="part", values="digest", aggfunc="first")
    rows = rows.assign(
        **{
            column: rows["training"].map(apart[part]).fillna(rows["training"]) if part in apart else rows["training"]
            for part, column in _PARTS.items()
        }
    )
    others = [part for part in apart.columns if part not in _PARTS]
    is_own = rows["training"].isin(apart.index[apart[others].notna().any(axis=1)])
    if not is_own.any():
        return rows.assign(own="", changed="")
    levels = [factor.column for factor in catalogue().factors if factor.change is not None]
    code = apart[["loop", "optimizer", *others]].fillna("").agg(" ".join, axis=1)
    rows = rows.assign(
        own=rows["training"].map(code).where(is_own, ""),
        changed=rows[["architecture", *levels]].astype(str).agg(" ".join, axis=1).where(is_own, ""),
    )
    for _, alike in rows.groupby(["device", "optimizer"]):
        own = alike.index[is_own[alike.index]]
        plain = alike.drop(own).sort_values("started_at", kind="stable").tail(1)
        for column in ("loop", "optimizer_code"):
            rows.loc[own, column] = plain[column].iloc[0] if len(plain) else "of its own"
    return rows


def _at_newest_selection(rows: pd.DataFrame) -> pd.DataFrame:
    """With the rate that a cell's newest row names as selected in all of its rows: rates may have been selected anew
    between two trials, and a trial at what is selected now isn't trained again."""
    own = [*_SHARED, *_OF_PRECISION, "cell"]
    by_cell = rows.sort_values("started_at", kind="stable").groupby(own, sort=False, dropna=False)
    return rows.assign(selected_lr=by_cell["selected_lr"].transform("last"))


def _protocols(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows that may be pooled, and their rate: the selected one of each cell, or one for all. A row whose selected rate
    is the one for all belongs to both."""
    for _, group in rows.groupby([*_SHARED, *_OF_PRECISION], sort=True):
        for rate in (SELECTED, *(f"{lr:g}" for lr in sorted(group["lr"].unique()))):
            at_rate = group[_at(group, rate)]
            if len(at_rate):
                yield rate, at_rate


def _at(rows: pd.DataFrame, rate: str) -> "pd.Series[bool]":
    at: pd.Series[bool] = (
        rows["lr"] == rows["selected_lr"] if rate == SELECTED else rows["lr"].map("{:g}".format) == rate
    )
    return at


def _count(rows: pd.DataFrame, equal: "pd.Series[bool]") -> int:
    """How many protocols there are among rows: rows at selected rates, with their siblings, are of one, others of one
    a rate."""
    rates = rows["lr"].where((rows["lr"] != rows["selected_lr"]) & ~equal[rows.index], -1.0)
    return rows.assign(rate=rates).groupby([*_SHARED, *_OF_PRECISION, "rate"]).ngroups


def _of_newest_code(rows: pd.DataFrame) -> pd.DataFrame:
    """Without rows of a schedule, an augmentation or a change of the training whose code has changed since."""
    ordered = rows.sort_values("started_at", kind="stable")
    for part, by in _CODES:
        ordered = ordered[ordered[part] == ordered.groupby(by)[part].transform("last")]
    return rows[rows.index.isin(ordered.index)]


def _of_code(rows: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Without rows of a schedule, an augmentation or a change of the training that `current` has in another code; of
    what it doesn't have, the newest."""
    for part, by in _CODES:
        codes = current[[*by, part]].drop_duplicates()
        now = dict(zip(codes[by].itertuples(index=False, name=None), codes[part], strict=True))
        known = [now.get(values) for values in rows[by].itertuples(index=False, name=None)]
        same = [code is None or code == own for code, own in zip(known, rows[part], strict=True)]
        rows = rows[np.array(same, dtype=bool)]
    return _of_newest_code(rows)


def _latest(rows: pd.DataFrame, by: str = "precision") -> pd.DataFrame:
    """The newest row of each cell, seed and precision, or whatever else tells rows apart, by seed."""
    told = rows[["started_at", "cell", "seed", by]]
    newest = told.sort_values("started_at", kind="stable").drop_duplicates(["cell", "seed", by], keep="last")
    return rows.loc[newest.sort_values("seed", kind="stable").index]


def _matches(found: object, value: str) -> bool:
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(value) == found
        except ValueError:
            return False
    return str(found) == value
