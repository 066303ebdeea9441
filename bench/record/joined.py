"""The recorded rows as one's own analysis wants them: one table, a cell's name and its levels in each row.

Switches are true or false here, not on or off as in the files; whole numbers with gaps are pandas' Int64.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import BenchError
from bench.plan.catalogue import catalogue
from bench.plan.cells import recorded_cell
from bench.plan.levels import Level, format_level
from bench.record.classes import unpacked_bits, unpacked_classes
from bench.record.columns import columns, since_2
from bench.record.schema import EpochRow, MachineRow, TrialRow
from bench.record.several import joined, once
from bench.record.store import Store

# What says in a row of an epoch or an image which trial it is of, beside the levels.
_NAMES = ["trial", "cell", "is_preset", "dataset", "architecture"]

# What a row of an image says.
_OF_IMAGES = ["image", "label", "predicted", "right"]


@dataclass(frozen=True, eq=False)
class Joined:
    """The rows of one or more folders, each trial of a cell once: of one that several have, the first folder's row,
    unless that says that the trial failed.

    `trials` has one row a trial; `different` counts those whose outcome another folder has otherwise.
    """

    trials: pd.DataFrame
    different: int
    _stores: tuple[Store, ...]
    _store_of: tuple[int, ...]

    def columns(self, *, epochs: bool = False, images: bool = False) -> list[str]:
        """The columns of `trials`, or of what `epochs` or `images` yields."""
        details = columns(EpochRow)[1:] if epochs else _OF_IMAGES if images else None
        return list(self.trials.columns) if details is None else [*self._names(), *details]

    def epochs(self) -> Iterator[pd.DataFrame]:
        """One row a trial and epoch, trials in the order of `trials`; a frame a folder."""
        for store, trials in self._by_store():
            details = store.epochs()
            yield trials[self._names()].merge(details, on="trial", how="inner")

    def images(self) -> Iterator[pd.DataFrame]:
        """One row a trial and test image: `image` is its index, `label` its class, `predicted` what the trial took it
        for, `right` whether these are the same; a frame a trial. What older versions didn't record is missing. Raises
        BenchError for rows that can't be read."""
        for store, trials in self._by_store():
            right = store.correct().set_index("trial")[["images", "correct"]]
            mistakes = store.predicted()
            predicted = dict(zip(mistakes["trial"], mistakes["predicted"].fillna(""), strict=True))
            labels = store.labels().set_index("data")["labels"]
            for at, trial in enumerate(trials["trial"]):
                if trial in right.index:
                    names = trials.iloc[[at]]
                    images = _images(right.loc[trial], predicted.get(trial), labels.get(names["data"].iloc[0]), trial)
                    named = names[self._names()].loc[names.index.repeat(len(images))].reset_index(drop=True)
                    yield pd.concat([named, images], axis=1)

    def _names(self) -> list[str]:
        fixed = [*columns(TrialRow, ()), "cell", "is_preset", *_machine_columns()]
        return [*_NAMES, *(name for name in self.trials.columns if name not in fixed), "seed"]

    def _by_store(self) -> Iterator[tuple[Store, pd.DataFrame]]:
        of = np.array(self._store_of, dtype=int)
        for number, store in enumerate(self._stores):
            if (of == number).any():
                yield store, self.trials[of == number]


def join_rows(stores: Sequence[Store]) -> Joined:
    """The rows of all stores. Raises StoreError."""
    parts = [readable(store.trials(), store.machines()).assign(_store=at) for at, store in enumerate(stores)]
    kept, different = once(joined(parts), ["trial", "cell"])
    return Joined(kept.drop(columns="_store"), different, tuple(stores), tuple(kept["_store"]))


def readable(trials: pd.DataFrame, machines: pd.DataFrame) -> pd.DataFrame:
    """Rows of trials with `cell` and `is_preset` in front, switches as truth values, and what is known of the machine.

    A factor stands under its name, unless rows have such a column anyway. A row of an architecture or a level that the
    study no longer has is called by all of its levels, and is no preset.
    """
    known = ["architecture", *catalogue().columns]
    others = [name for name in trials.columns if name not in columns(TrialRow)]
    open_and_off = {one.column: format_level(one.off) for one in catalogue().factors if one.is_open}
    names, presets = [], []
    for values in trials[[*known, *others]].itertuples(index=False, name=None):
        cell = recorded_cell(values[: len(known)])
        rest = _written(others, values[len(known) :])
        levels = [] if cell else _written(known[1:], values[1 : len(known)], open_and_off)
        names.append(" ".join([cell.label if cell else values[0], *levels, *rest]))
        presets.append(cell is not None and cell.is_preset and not rest)
    with_cells = trials.assign(
        cell=pd.Series(names, dtype=object, index=trials.index),
        is_preset=np.array(presets, dtype=bool),
        **{name: _levels(name, trials[name]) for name in [*known[1:], *others]},
        **{name: _whole(trials[name]) for name in _gapped(TrialRow)},
    )
    described = machines.drop_duplicates("machine").set_index("machine")
    machine = {f"machine_{name}": with_cells["machine"].map(described[name]) for name in described.columns}
    for name in _gapped(MachineRow):
        machine[f"machine_{name}"] = _whole(machine[f"machine_{name}"])
    ordered = [*_NAMES[:4], *(name for name in with_cells.columns if name not in _NAMES[:4])]
    return with_cells[ordered].assign(**machine)


def _written(
    factors: Sequence[str], levels: Sequence[Any], unsaid: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    pairs = zip(factors, levels, strict=True)
    return [f"{name}={level}" for name, level in pairs if not pd.isna(level) and level != unsaid.get(name)]


def _levels(column: str, levels: "pd.Series[Any]") -> "pd.Series[Any]":
    """On and off as true and false, whole numbers as such."""
    factor = catalogue().by_column.get(column)
    if factor is not None and all(type(level) is int for level in factor.levels):
        return _whole(levels) if (levels.dropna() % 1 == 0).all() else levels
    words = levels.dropna().unique()
    if not len(words) or not set(words) <= {format_level(level) for level in _BOTH}:
        return levels
    read = levels.map({format_level(level): level for level in _BOTH})
    return read.astype("boolean" if read.isna().any() else bool)


_BOTH: tuple[Level, Level] = (False, True)


def _gapped(row_type: Any) -> list[str]:
    """The columns of whole numbers that may be missing."""
    kinds = {field.name: field.type for field in dataclasses.fields(row_type)}
    return [name for name, kind in kinds.items() if kind == int | None or (kind is int and name in since_2(row_type))]


def _whole(numbers: "pd.Series[Any]") -> "pd.Series[Any]":
    return numbers.astype("Int64" if numbers.isna().any() else "int64")


def _machine_columns() -> list[str]:
    return [f"machine_{name}" for name in columns(MachineRow) if name != "machine"]


def _images(right: "pd.Series[Any]", predicted: str | None, labels: str | None, trial: str) -> pd.DataFrame:
    images = int(right["images"])
    gap = pd.array([pd.NA] * images, dtype="Int64")
    try:
        bits = unpacked_bits(right["correct"], images)
        true = gap if labels is None else pd.array(unpacked_classes(labels, images), dtype="Int64")
        taken = true.copy()
        taken[~bits] = pd.NA if predicted is None else unpacked_classes(predicted, int((~bits).sum()))
    except ValueError as error:
        raise BenchError(f"what trial {trial} took its test images for can't be read ({error}): delete it") from None
    return pd.DataFrame(dict(zip(_OF_IMAGES, (np.arange(images), true, taken, bits), strict=True)))
