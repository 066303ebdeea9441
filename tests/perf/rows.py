"""A results folder of any size, written a cell at a time: as many cells, seeds and test images as are asked for.

One row of each kind is made by `tests.synthetic` as the harness would write it; the others differ from it in their
trial, seed, accuracies and bits, column by column, so that a change of the columns is a change in one place.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from architectures.blocks import Shape, assemble
from architectures.model1 import BLOCKS
from architectures.spec import Classifier
from bench.plan.architecture import Architecture
from bench.plan.catalogue import Catalogue, catalogue
from bench.plan.cells import Cell
from bench.plan.designs import factorial
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.columns import columns, to_cells
from bench.record.schema import ConfusionRow, CorrectRow, EpochRow, PartRow, Row, TimingRow, TrialRow
from bench.record.store import _FILES, Store
from bench.run.rows import name_trials
from bench.studies.data import DATASETS
from bench.train.data import Data
from tests import synthetic
from tests.catalogues import grown

ARCHITECTURES = {name: catalogue().architectures[name] for name in synthetic.MODELS}
FACTORS = synthetic.FACTORS

DATASET = "digits"
_CLASSES = 10
_NAMES = {**_FILES, TrialRow: "trials.csv"}


def many_models(cells: int) -> Catalogue:
    """A catalogue of as few models as have a factorial of `cells` cells or more: the built-in ones, and wider copies of
    the first."""
    originals = list(ARCHITECTURES.values())
    each = int(np.prod([len(factor.levels) for factor in FACTORS]))
    names = [*ARCHITECTURES]
    copies = []
    for number in range(-(-cells // each) - len(originals)):
        name = f"copy{number + 1}"
        # One that computes the same would have the same trials.
        copies.append(Architecture(partial(_wider, number + 1), name=name))
        original = names[number % len(originals)]
        synthetic.BASE[name] = synthetic.BASE[original] + 0.0002 * (number % 7)
        synthetic.FIELDS[name] = synthetic.FIELDS[original]
    found = [*originals, *copies][: -(-cells // each)]
    return replace(grown(architectures=copies), architectures={one.name: one for one in found})


def _wider(
    more: int, shape: Shape, classes: int, *, batch_norm: bool = False, gap: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    first, *others = BLOCKS
    blocks = (replace(first, channels=first.channels + more), *others)
    return assemble(blocks, Classifier(padding=1), shape, classes, batch_norm=batch_norm, gap=gap, dropout=dropout)


def write_many_rows(folder: Path, cells: int, seeds: int, images: int) -> Store:
    """Fills an empty results folder with `seeds` trials of each of the first `cells` cells of a factorial of every
    registered model, named as the plan's trials are. The same rows every time; the bits and the confusions are those of
    no real network."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    data = DATASETS[DATASET].load(Path("unused"))
    chosen = list(factorial(list(catalogue().architectures), FACTORS))[:cells]
    small = synthetic.write_rows(folder / "one", chosen[:1], seeds=1, images=images, dataset=DATASET)
    for path in small.folder.iterdir():
        if path.name in ("machines.csv", "images.csv", "speed.csv", "overhead.csv"):
            path.rename(folder / path.name)
        else:
            path.unlink()
    small.folder.rmdir()
    timings = synthetic._timings(chosen, generator)
    _append(
        folder,
        TimingRow,
        pd.DataFrame([to_cells(row, columns(TimingRow)) for row in timings], columns=columns(TimingRow)),
    )
    for cell in chosen:
        for row_type, frame in _rows_of(cell, data, seeds, images, generator):
            _append(folder, row_type, frame)
    return Store(folder)


def _append(folder: Path, row_type: type[Row], frame: pd.DataFrame) -> None:
    path = folder / _NAMES[row_type]
    frame[columns(row_type)].to_csv(path, mode="a", index=False, header=not path.exists(), lineterminator="\n")


def _rows_of(
    cell: Cell, data: Data, seeds: int, images: int, generator: np.random.Generator
) -> Iterator[tuple[type[Row], pd.DataFrame]]:
    """The rows of one cell's trials, kind by kind, as text and numbers."""
    accuracies = np.clip(synthetic._mean(cell) + generator.normal(0, 0.0004, seeds), 0, 1)
    right = generator.random((seeds, images), dtype=np.float32) < accuracies[:, None]
    reached = right.mean(axis=1)
    labels = np.arange(images) % _CLASSES
    pattern = synthetic._trial(cell, 0, right[0], labels, np.where(right[0], labels, (labels + 1) % 10), DATASET)
    trial, *epochs = [row for row in pattern if isinstance(row, TrialRow | EpochRow)]
    protocol = Protocol(DATASET, batch_size=16)
    named = list(name_trials((Trial(cell, seed, protocol) for seed in range(seeds)), data, data.digest))
    names = [one.key for one in named]
    parts = named[0].parts
    yield PartRow, _like([PartRow(parts.training, *part) for part in named[0].training.items()], 1)
    yield (
        TrialRow,
        _like([trial], seeds).assign(
            trial=names,
            network=parts.network,
            training=parts.training,
            data=parts.data,
            seed=np.arange(seeds),
            test_accuracy=reached,
            train_accuracy=reached - 0.005,
            best_test_accuracy=np.minimum(reached + 0.0002, 1),
        ),
    )
    climbed = np.repeat(reached, len(epochs)) - np.tile(0.05 * np.exp(-np.arange(1.0, len(epochs) + 1)), seeds)
    climbed[len(epochs) - 1 :: len(epochs)] = reached
    yield (
        EpochRow,
        _like(epochs, seeds).assign(
            trial=np.repeat(names, len(epochs)),
            test_accuracy=np.clip(climbed, 0, 1),
            train_accuracy=np.clip(climbed - 0.01, 0, 1),
            test_loss=np.abs(generator.normal(0.03, 0.01, len(climbed))),
            train_loss=np.abs(generator.normal(0.04, 0.01, len(climbed))),
        ),
    )
    packed = [base64.b64encode(bits.tobytes()).decode() for bits in np.packbits(right, axis=1)]
    yield CorrectRow, pd.DataFrame({"trial": names, "images": images, "correct": packed})
    yield ConfusionRow, pd.DataFrame({"trial": names, "classes": _CLASSES, "counts": list(_counts(reached, images))})


def _like(rows: Sequence[Row], times: int) -> pd.DataFrame:
    """The rows' text, all of them `times` over."""
    texts = [to_cells(row, columns(type(row))) for row in rows]
    return pd.DataFrame(np.tile(np.array(texts, dtype=object), (times, 1)), columns=columns(type(rows[0])))


def _counts(reached: np.ndarray, images: int) -> Iterator[str]:
    """Each trial's confusion: mistakes are spread evenly over the wrong classes."""
    for accuracy in reached:
        wrong = round((1 - accuracy) * images)
        counts = np.full((_CLASSES, _CLASSES), wrong // (_CLASSES * (_CLASSES - 1)))
        np.fill_diagonal(counts, 0)
        counts[0, 1] += wrong - counts.sum()
        np.fill_diagonal(counts, images // _CLASSES - counts.sum(axis=1))
        yield " ".join(map(str, counts.ravel()))
