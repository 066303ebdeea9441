"""Folders of rows from several machines, read as one."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.plan.catalogue import catalogue
from bench.record.columns import columns
from bench.record.schema import Row, TrialRow
from bench.record.store import Store

_OUTCOMES = ["status", "test_accuracy", "test_loss", "val_accuracy", "val_loss"]


def find_stores(roots: Iterable[Path], dataset: str | None, trials: str = "trials.csv") -> dict[str, list[Store]]:
    """By data set, all or the one called so, the stores with rows on it, in the order of `roots`. `trials` names the
    file of trial rows. Raises BenchError where a folder has none."""
    found: dict[str, list[Store]] = {}
    for root in dict.fromkeys(roots):
        here = sorted(path.parent for path in root.glob(f"{dataset or '*'}/{trials}"))
        if not here:
            what = f"rows on {dataset}" if dataset else "rows"
            raise BenchError(
                f"{root} has no {what}: make some with `{catalogue().run_command}`, or name another --results folder"
            )
        for folder in here:
            found.setdefault(folder.name, []).append(Store(folder, trials))
    return found


def stores_in(folders: Iterable[Path], dataset: str | None) -> dict[str, list[Store]]:
    """By data set the stores in folders of other people's rows: a folder of one data set, called after it, or one with
    such folders in it. Raises BenchError where a folder has none."""
    found: dict[str, list[Store]] = {}
    for folder in dict.fromkeys(folders):
        one = folder / "trials.csv"
        here = {folder.resolve().name: [Store(folder)]} if one.is_file() else find_stores([folder], dataset)
        for name, stores in here.items():
            if dataset in (None, name):
                found.setdefault(name, []).extend(stores)
    return found


def as_one(stores: Sequence[Store]) -> Store:
    """A store that reads as all of them."""
    return stores[0] if len(stores) == 1 else Several(stores)


class Several(Store):
    """Folders of one data set, which are only read: each trial of a cell once, as `once` has it, with what was recorded
    with it; and of all else every row, once."""

    def __init__(self, stores: Sequence[Store]) -> None:
        super().__init__(stores[0].folder, stores[0].trials_path.name)
        self._stores = tuple(stores)

    def folders_of(self, trials: Iterable[str]) -> list[Path]:
        """The folder of the row that counts, of each trial."""
        return [self._stores[self._store_of[trial]].folder for trial in trials]

    @property
    def different(self) -> int:
        """How many trials ended otherwise in another of the folders."""
        return self._counted[1]

    @property
    def trial_paths(self) -> tuple[Path, ...]:
        """The folders' files of trial rows."""
        return tuple(store.trials_path for store in self._stores)

    def trials(self) -> pd.DataFrame:
        """One row per trial of a cell, columns as in TrialRow."""
        return self._counted[0].drop(columns="_store")

    def torn_lines(self) -> dict[str, int]:
        """As of a store, in all folders."""
        found: dict[str, int] = {}
        for store in self._stores:
            for file, lines in store.torn_lines().items():
                found[file] = found.get(file, 0) + lines
        return found

    @cached_property
    def _counted(self) -> tuple[pd.DataFrame, int]:
        rows = joined([store.trials().assign(_store=at) for at, store in enumerate(self._stores)])
        return once(rows, ["trial", "architecture", *(str(name) for name in rows if name not in _NO_LEVELS)])

    @cached_property
    def _store_of(self) -> dict[str, int]:
        """The number of the store whose details of a trial count."""
        first = self._counted[0].sort_values("_store", kind="stable").drop_duplicates("trial")
        return dict(zip(first["trial"], first["_store"], strict=True))

    def _details(self, row_type: type[Row], key: list[str]) -> pd.DataFrame:
        parts = [store._details(row_type, key) for store in self._stores]
        own = [part[part["trial"].map(self._store_of) == number] for number, part in enumerate(parts)]
        return joined(own)

    def _read(self, path: Path, row_type: type[Row]) -> pd.DataFrame:
        parts = [store._read(store.folder / path.name, row_type) for store in self._stores]
        return joined(parts).drop_duplicates(ignore_index=True)

    def _append(self, path: Path, rows: Iterable[Row]) -> int:  # noqa: ARG002
        raise TypeError("several folders of rows are only read")


_NO_LEVELS = {*columns(TrialRow, ()), "_store"}


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One below the other; what is empty says nothing of the columns' types."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def once(rows: pd.DataFrame, same: list[str]) -> tuple[pd.DataFrame, int]:
    """Of rows that agree in the columns `same` one, and how many of these ended otherwise in another folder. The number
    of the folder stands in `_store`. Of several tries in a folder the last counts; then the first folder's, unless that
    says that the trial failed."""
    latest = rows.drop_duplicates([*same, "_store"], keep="last")
    outcomes = latest[latest["status"] != "failed"].drop_duplicates([*same, *_OUTCOMES])
    different = int(outcomes.groupby(same, dropna=False).size().gt(1).sum())
    first = latest.assign(_failed=latest["status"] == "failed").sort_values(["_failed", "_store"], kind="stable")
    return rows.loc[first.drop_duplicates(same).index.sort_values()].reset_index(drop=True), different
