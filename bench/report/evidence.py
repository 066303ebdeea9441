"""The rows that a report is about: finished trials under one protocol, with their cells, and what was left out."""

from binascii import a2b_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from architectures.registry import ARCHITECTURES
from bench.errors import BenchError, UsageError, near_matches
from bench.plan.cells import Cell
from bench.plan.factors import FACTORS, level_of, read_levels
from bench.plan.protocol import RATES, Protocol
from bench.plan.trials import Trial
from bench.record.schema import TrialRow, columns
from bench.record.store import Store
from bench.report.stats.noise import Bits, miss_rates
from bench.report.words import plural

_SWITCHES = [factor.name for factor in FACTORS]

_KEY_COLUMNS = [
    "trial",
    "dataset",
    "architecture",
    *_SWITCHES,
    "seed",
    "epochs",
    "batch_size",
    "optimizer",
    "lr",
    "precision",
    "device",
    "val",
    "data",
    "code",
]

# Rows that differ in one of these are never pooled. `rate` is computed: `selected`, or the one rate that was set.
PROTOCOL = ["epochs", "batch_size", "optimizer", "rate", "precision", "device", "data", "code"]
_BUT_PRECISION = [name for name in PROTOCOL if name != "precision"]


class NoRowsError(BenchError):
    """There is nothing to report on."""


@dataclass(frozen=True)
class Evidence:
    """One protocol's rows on one data set.

    `trials` has the done rows with their cell's label in `cell`, one per cell and seed; `unfinished` the diverged
    and failed ones; `other_precisions` the done rows under protocols that differ from this one in precision alone, and
    `other_epochs` their epochs; `left_out` says in sentences which other rows there are. The other frames are as the
    store gives them, for `trials`.
    """

    dataset: str
    cells: tuple[Cell, ...]
    protocol: Mapping[str, object]
    trials: pd.DataFrame
    unfinished: pd.DataFrame
    other_precisions: pd.DataFrame
    other_epochs: pd.DataFrame
    left_out: tuple[str, ...]
    epochs: pd.DataFrame
    correct: pd.DataFrame
    confusion: pd.DataFrame
    images: pd.DataFrame
    timings: pd.DataFrame
    speeds: pd.DataFrame
    overheads: pd.DataFrame
    machines: pd.DataFrame

    @cached_property
    def _by_cell(self) -> dict[Cell, pd.DataFrame]:
        by_label = {str(label): rows.set_index("seed") for label, rows in self.trials.groupby("cell", sort=False)}
        return {cell: by_label[cell.label] for cell in self.cells}

    @cached_property
    def _accuracies(self) -> dict[Cell, dict[int, float]]:
        """By cell and seed."""
        return {
            cell: dict(zip(rows.index.tolist(), rows["test_accuracy"].tolist(), strict=True))
            for cell, rows in self._by_cell.items()
        }

    @cached_property
    def _no_rows(self) -> pd.DataFrame:
        return self.trials.iloc[:0].set_index("seed")

    @cached_property
    def _texts_of_bits(self) -> dict[str, tuple[str, int]]:
        """By trial, the bits as they are recorded, which takes a sixth of the room, and how many."""
        columns = zip(self.correct["trial"], self.correct["correct"], self.correct["images"], strict=True)
        return {trial: (text, images) for trial, text, images in columns}

    def rows(self, cell: Cell) -> pd.DataFrame:
        """The cell's done trials, indexed by seed in ascending order; empty for a cell that wasn't trained."""
        return self._by_cell.get(cell, self._no_rows)

    def shared_seeds(self, cells: Iterable[Cell]) -> list[int]:
        """The seeds that every one of the cells was trained with, in ascending order."""
        return sorted(set.intersection(*(set(self._accuracies.get(cell, ())) for cell in cells)))

    def accuracies(self, cell: Cell, seeds: Sequence[int]) -> NDArray[np.float64]:
        """The cell's test accuracies, fractions, one for each of `seeds` and in their order."""
        known = self._accuracies[cell]
        return np.array([known[seed] for seed in seeds], dtype=float)

    def bits(self, cell: Cell) -> dict[int, Bits]:
        """By seed, which test images the cell's trials got right, where that was recorded."""
        rows = self.rows(cell)
        return {
            seed: _unpack(*self._texts_of_bits[trial])
            for seed, trial in zip(rows.index, rows["trial"], strict=True)
            if trial in self._texts_of_bits
        }

    def hardest_images(self, count: int) -> list[tuple[int, float]]:
        """The test images that most trials missed and the share that did, hardest first."""
        if not self._texts_of_bits:
            return []
        rates = miss_rates(_unpack(*recorded) for recorded in self._texts_of_bits.values())
        order = np.argsort(-rates, kind="stable")[:count]
        return [(int(index), float(rates[index])) for index in order if rates[index] > 0]


def gather(store: Store, dataset: str, where: Mapping[str, str] | None = None) -> Evidence:
    """The evidence in a store: rows of the protocol with the most done trials, the newest of equals.

    `where` narrows the rows first, column by column, as in {"precision": "bf16"}. Raises NoRowsError when nothing is
    left, UsageError for an unknown column.
    """
    recorded = _narrowed(store.trials(), where or {})
    if recorded.empty:
        raise NoRowsError(
            f"{store.trials_path} has no {'such ' if where else ''}rows: make some with `python -m bench run --all`"
        )
    known, cells = _with_cells(recorded)
    strangers = len(recorded) - len(known)
    if known.empty:
        raise NoRowsError(
            f"{store.trials_path} has rows of other networks or augmentations than today's only: "
            "`python -m bench run` with the same options makes new ones"
        )
    groups = known.groupby(PROTOCOL, sort=True)
    best: tuple[tuple[int, str], pd.DataFrame] | None = None
    for _, rows in groups:
        rank = (int((rows["status"] == "done").sum()), str(rows["started_at"].max()))
        if best is None or rank > best[0]:
            best = rank, rows
    if best is None or best[0][0] == 0:
        raise NoRowsError(f"no trial in {store.trials_path} is done: `python -m bench status` tells more")
    chosen = best[1]
    latest = _latest(chosen)
    done = latest[latest["status"] == "done"].reset_index(drop=True)
    elsewhere = known.drop(chosen.index)
    siblings = elsewhere[(elsewhere[_BUT_PRECISION] == chosen[_BUT_PRECISION].iloc[0]).all(axis=1)]
    others = elsewhere.drop(siblings.index)
    protocols = others.groupby(PROTOCOL).ngroups
    others_done = _latest(siblings[siblings["status"] == "done"]).reset_index(drop=True)
    images, epochs = store.images(), store.epochs()
    left_out = [
        f"{plural(len(others), 'trial')} under {plural(protocols, 'other protocol')}" if protocols else "",
        f"{plural(strangers, 'trial')} of networks or augmentations that are not today's" if strangers else "",
        f"{plural(len(chosen) - len(latest), 'trial')} trained anew since" if len(chosen) > len(latest) else "",
    ]
    return Evidence(
        dataset=dataset,
        cells=tuple(sorted((cells[str(label)] for label in done["cell"].unique()), key=_order)),
        protocol={name: chosen[name].iloc[0] for name in PROTOCOL},
        trials=done,
        unfinished=latest[latest["status"] != "done"].reset_index(drop=True),
        other_precisions=others_done,
        other_epochs=_of(others_done, epochs),
        left_out=tuple(filter(None, left_out)),
        epochs=_of(done, epochs),
        correct=_of(done, store.correct()),
        confusion=_of(done, store.confusion()),
        images=images[images["data"] == chosen["data"].iloc[0]],
        timings=store.timings(),
        speeds=store.speeds(),
        overheads=store.overheads(),
        machines=store.machines(),
    )


def _latest(rows: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each cell, seed and precision, by seed."""
    newest = rows.sort_values("started_at", kind="stable").drop_duplicates(["cell", "seed", "precision"], keep="last")
    return newest.sort_values("seed", kind="stable")


def _narrowed(rows: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    for name, value in where.items():
        if name not in rows.columns:
            raise UsageError(f"rows have no column {name!r}: {near_matches(name, columns(TrialRow))}")
        rows = rows[rows[name].astype(str) == value]
    return rows


def _with_cells(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Cell]]:
    """The rows that today's layers and levels still describe, with cell label and rate rule, and the cells by label."""
    cells = [_cell(row) for row in rows[_KEY_COLUMNS].itertuples(index=False)]
    known = rows[[cell is not None for cell in cells]]
    own = [cell for cell in cells if cell is not None]
    rates = [
        "selected" if optimizer == "sgd" and lr == RATES[cell.levels.scheduler, cell.levels.batch_norm] else f"{lr:g}"
        for cell, optimizer, lr in zip(own, known["optimizer"], known["lr"], strict=True)
    ]
    labels = {cell: cell.label for cell in set(own)}
    return known.assign(cell=[labels[cell] for cell in own], rate=rates), {labels[cell]: cell for cell in labels}


def _cell(row: Any) -> Cell | None:
    """The row's cell; None if its key isn't what its columns give today: then it was another network or level."""
    if row.architecture not in ARCHITECTURES:
        return None
    try:
        cell = Cell(row.architecture, read_levels({name: getattr(row, name) for name in _SWITCHES}))
        protocol = Protocol(
            row.dataset, row.epochs, row.batch_size, row.optimizer, row.lr, row.precision, row.device, row.val
        )
        key = Trial(cell, row.seed, protocol).key(row.data, row.code)
    except (ValueError, UsageError):
        return None
    return cell if key == row.trial else None


def _order(cell: Cell) -> tuple[int, int, list[tuple[int, int]]]:
    """Presets first within their architecture, then by which factors differ from it and how."""
    architecture = ARCHITECTURES[cell.architecture]
    changed = cell.differences(Cell(cell.architecture, architecture.preset))
    levels = [(FACTORS.index(factor), factor.levels.index(level_of(cell.levels, factor))) for factor in changed]
    return list(ARCHITECTURES).index(cell.architecture), len(changed), levels


def _of(trials: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["trial"].isin(trials["trial"])].reset_index(drop=True)


def _unpack(text: str, images: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(a2b_base64(text), dtype=np.uint8)
    return np.unpackbits(packed, count=images).view(np.bool_)
