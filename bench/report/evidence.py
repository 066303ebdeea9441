"""The rows that a report is about: finished trials under one protocol, with their cells, and what was left out."""

from binascii import a2b_base64
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.plan.catalogue import Rates, catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import level_of
from bench.record.store import Store
from bench.report.choosing import Chosen, Networks, choose, narrowed
from bench.report.held_out import compared_rows
from bench.report.looked import Look, looks_under
from bench.report.searched import searched_rows
from bench.report.stats.noise import Bits, miss_rates


class NoRowsError(BenchError):
    """There is nothing to report on."""


class BitsError(BenchError):
    """A row's bits are not what its test images call for."""

    def __init__(self, trial: str, problem: str) -> None:
        super().__init__(f"correct.csv has bits of trial {trial} that {problem}: delete the line")


@dataclass(frozen=True)
class Evidence:
    """One protocol's rows on one data set.

    `trials` has the done rows with their cell's label in `cell`, one per cell and seed; `unfinished` the diverged and
    failed ones; `other_precisions` the done rows under protocols that differ from this one in precision alone; `rates`
    the done rows of this protocol at every learning rate, and `swept` those at every batch size and number of epochs,
    by column; `searched` those of searches for this protocol, in any precision, on held-out images, with `cell`, `arm`
    and `limit`;
    `held_out` the done rows of this protocol that other runs measured on held-out images, and `held_out_cells` their
    cells;
    `looks` are those of runs that went on until it was settled, in their order; `left_out` says in sentences
    which other rows there are; `class_names` what classes are called, or their numbers. The other frames are as the
    store gives them, for `trials`; `ensembles` are of whatever trials. `apart` are done rows of this protocol that only
    a section of their own is about, and `apart_cells` their cells: those in which a factor is varied that only a design
    of its own varies.
    """

    dataset: str
    cells: tuple[Cell, ...]
    protocol: Mapping[str, object]
    trials: pd.DataFrame
    unfinished: pd.DataFrame
    other_precisions: pd.DataFrame
    rates: pd.DataFrame
    swept: Mapping[str, pd.DataFrame]
    searched: pd.DataFrame
    held_out: pd.DataFrame
    held_out_cells: tuple[Cell, ...]
    left_out: tuple[str, ...]
    epochs: pd.DataFrame
    correct: pd.DataFrame
    confusion: pd.DataFrame
    images: pd.DataFrame
    class_names: tuple[str, ...]
    timings: pd.DataFrame
    looks: tuple[Look, ...]
    speeds: pd.DataFrame
    overheads: pd.DataFrame
    machines: pd.DataFrame
    readouts: pd.DataFrame
    ensembles: pd.DataFrame
    apart: pd.DataFrame
    apart_cells: tuple[Cell, ...]

    @cached_property
    def known_rates(self) -> Rates:
        """The study's, for the data set and the optimiser."""
        return catalogue().rates_for(self.dataset, self.protocol["optimizer"])

    @cached_property
    def _by_cell(self) -> dict[Cell, pd.DataFrame]:
        by_seed = self.trials.set_index("seed")
        by_label = {str(label): rows for label, rows in by_seed.groupby("cell", sort=False)}
        return {cell: by_label[cell.label] for cell in self.cells}

    @cached_property
    def _accuracies(self) -> dict[Cell, dict[int, float]]:
        """By cell and seed."""
        return {
            cell: dict(zip(rows.index.tolist(), rows["test_accuracy"].tolist(), strict=True))
            for cell, rows in self._by_cell.items()
        }

    @cached_property
    def _rates_by_cell(self) -> dict[str, pd.DataFrame]:
        told = self.rates[["cell", "lr", "seed", "test_accuracy"]]
        return {str(label): rows for label, rows in told.groupby("cell", sort=False)}

    @cached_property
    def _no_rows(self) -> pd.DataFrame:
        return self.trials.iloc[:0].set_index("seed")

    @cached_property
    def _packed_bits(self) -> NDArray[np.uint8]:
        """The bits as bytes, which take an eighth of the room of truth values: (rows of `correct`, bytes)."""
        trials, texts, counts = (self.correct[name].tolist() for name in ("trial", "correct", "images"))
        packed = bytearray()
        for trial, text, images in zip(trials, texts, counts, strict=True):
            packed += _decoded(trial, text, images)
        usual, _ = Counter(counts).most_common(1)[0]
        for trial, images in zip(trials, counts, strict=True):
            if images != usual:
                raise BitsError(trial, f"are of {images} test images, and those of other trials of {usual}")
        return np.frombuffer(packed, dtype=np.uint8).reshape(len(trials), -1)

    @cached_property
    def _places_of_bits(self) -> dict[Cell, dict[int, int]]:
        """By cell and seed, where in `correct` the trial's bits stand; without trials whose bits weren't recorded."""
        places = {trial: place for place, trial in enumerate(self.correct["trial"].tolist())}
        return {
            cell: {
                seed: places[trial]
                for seed, trial in zip(rows.index.tolist(), rows["trial"].tolist(), strict=True)
                if trial in places
            }
            for cell, rows in self._by_cell.items()
        }

    def rows(self, cell: Cell) -> pd.DataFrame:
        """The cell's done trials, indexed by seed in ascending order; empty for a cell that wasn't trained."""
        return self._by_cell.get(cell, self._no_rows)

    @cached_property
    def step(self) -> float:
        """What a test accuracy moves in, one image of the test set; 0 where its size wasn't recorded."""
        return 1 / int(self.correct["images"].iloc[0]) if len(self.correct) else 0.0

    def values(self, cell: Cell) -> Mapping[int, float]:
        """The cell's test accuracies, fractions, by seed."""
        return self._accuracies.get(cell, {})

    def accuracies_at(self, cell: Cell, rate: float) -> dict[int, float]:
        """By seed in ascending order, the test accuracy, a fraction, of the cell's done trials at a learning rate, its
        own or another that it was trained at; empty where there are none."""
        rows = self._rates_by_cell.get(cell.label)
        if rows is None:
            return {}
        at_rate = rows[rows["lr"] == rate]
        return dict(zip(at_rate["seed"].tolist(), at_rate["test_accuracy"].tolist(), strict=True))

    def bits(self, cell: Cell) -> tuple[list[int], Bits]:
        """The seeds of the cell's trials whose bits were recorded, and which test images these got right, (seeds,
        images). Raises BitsError."""
        places = self._places_of_bits.get(cell, {})
        if not places:
            return [], np.empty((0, 0), dtype=np.bool_)
        packed, images = self._packed_bits[list(places.values())], int(self.correct["images"].iloc[0])
        return list(places), np.unpackbits(packed, axis=1, count=images).view(np.bool_)

    def hardest_images(self, count: int) -> list[tuple[int, float]]:
        """The test images that most trials missed and the share that did, hardest first. Raises BitsError."""
        if self.correct.empty:
            return []
        rates = miss_rates(bits for seeds, bits in map(self.bits, self.cells) if seeds)
        order = np.argsort(-rates, kind="stable")[:count]
        return [(int(index), float(rates[index])) for index in order if rates[index] > 0]


def gather(
    store: Store,
    dataset: str,
    where: Mapping[str, str] | None = None,
    networks: Networks | None = None,
    prefer: Collection[str] = (),
) -> Evidence:
    """The evidence in a store: rows of one protocol, which `choosing.choose` picks; where trials are to `prefer`, of
    the one with most of these.

    `where` narrows the rows first, column by column, as in {"precision": "bf16"}; `networks` says which are today's.
    Raises NoRowsError when nothing is left, UsageError for an unknown column.
    """
    recorded = narrowed(store.trials(), where or {})
    if recorded.empty:
        raise NoRowsError(
            f"{store.trials_path} has no {'such ' if where else ''}rows: make some with `{catalogue().run_command}`"
        )
    parts = store.parts()
    chosen = choose(recorded, parts, networks, prefer)
    if chosen is None:
        raise NoRowsError(
            f"{store.trials_path} has rows of other networks or augmentations than today's only: "
            f"`{catalogue().command('run')}` with the same options makes new ones"
        )
    chosen, apart = _parted(chosen)
    done = chosen.rows[chosen.rows["status"] == "done"].reset_index(drop=True)
    if done.empty:
        raise NoRowsError(f"no trial in {store.trials_path} is done: `{catalogue().command('status')}` tells more")
    others_done = chosen.siblings[chosen.siblings["status"] == "done"].reset_index(drop=True)
    epochs, images, on_held_out = store.epochs(), store.images(), store.on_held_out_images()
    compared = compared_rows(on_held_out, parts, networks, chosen.protocol)
    held_out = on_held_out.iloc[:0] if compared is None else compared.rows[compared.rows["status"] == "done"]
    return Evidence(
        dataset=dataset,
        cells=_cells_of(done, chosen),
        protocol=chosen.protocol,
        trials=done,
        unfinished=chosen.rows[chosen.rows["status"] != "done"].reset_index(drop=True),
        other_precisions=others_done,
        rates=chosen.rates[chosen.rates["status"] == "done"].reset_index(drop=True),
        swept={name: rows[rows["status"] == "done"].reset_index(drop=True) for name, rows in chosen.swept.items()},
        searched=searched_rows(on_held_out, chosen.protocol),
        held_out=held_out,
        held_out_cells=() if compared is None else _cells_of(held_out, compared),
        left_out=chosen.left_out,
        epochs=_of(done, epochs),
        correct=_of(done, store.correct()),
        confusion=_of(done, store.confusion()),
        images=images[images["data"] == chosen.protocol["data"]],
        class_names=_class_names(store.class_names(), chosen.protocol["data"], int(done["classes"].max())),
        timings=store.timings(),
        looks=looks_under(store.looks(), chosen.protocol),
        speeds=store.speeds(),
        overheads=store.overheads(),
        machines=store.machines(),
        readouts=_of(done, store.readouts()),
        ensembles=store.ensembles(),
        apart=apart,
        apart_cells=_cells_of(apart, chosen),
    )


def shown_anew(evidence: Evidence, store: Store) -> Evidence:
    """The same trials, with what the store shows of images and ensembles by now."""
    images, data = store.images(), evidence.protocol["data"]
    return replace(
        evidence,
        images=images[images["data"] == data],
        class_names=_class_names(store.class_names(), data, len(evidence.class_names)),
        ensembles=store.ensembles(),
    )


def _parted(chosen: Chosen) -> tuple[Chosen, pd.DataFrame]:
    """What every section is about, and the done rows that only one of their own is about; these count as all others
    where there are no others."""
    own = {label for label, cell in chosen.cells.items() if cell.is_of_own_design}

    def others(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[~rows["cell"].isin(own)]

    done = chosen.rows[chosen.rows["status"] == "done"]
    apart = done[done["cell"].isin(own)].reset_index(drop=True)
    if len(apart) == len(done):
        return chosen, apart.iloc[:0]
    usual = replace(
        chosen,
        rows=others(chosen.rows),
        siblings=others(chosen.siblings),
        rates=others(chosen.rates),
        swept={name: others(rows) for name, rows in chosen.swept.items()},
    )
    return usual, apart


def _cells_of(rows: pd.DataFrame, chosen: Chosen) -> tuple[Cell, ...]:
    return tuple(sorted((chosen.cells[str(label)] for label in rows["cell"].unique()), key=_order))


def _order(cell: Cell) -> tuple[int, int, list[tuple[int, int]], str]:
    """Presets first within their architecture, then by which factors differ from it and how."""
    changed = cell.differences(preset_cell(cell.architecture))
    factors = catalogue().factors
    levels = [(factors.index(factor), factor.place(level_of(cell.levels, factor))) for factor in changed]
    return list(catalogue().architectures).index(cell.architecture), len(changed), levels, cell.label


def _class_names(rows: pd.DataFrame, data: object, classes: int) -> tuple[str, ...]:
    """What each class is called, its number where nobody named it."""
    named = rows[rows["data"] == data]
    known = dict(zip(named["label"], named["name"], strict=True))
    return tuple(str(known.get(label, label)) for label in range(classes))


def _of(trials: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows["trial"].isin(trials["trial"])
    return rows if kept.all() else rows[kept].reset_index(drop=True)


def _decoded(trial: str, text: str, images: int) -> bytes:
    try:
        packed = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise BitsError(trial, f"are no base64 ({error})") from None
    if len(packed) != -(-images // 8):
        raise BitsError(trial, f"are {len(packed)} bytes, not the {-(-images // 8)} of {images} test images")
    return packed
