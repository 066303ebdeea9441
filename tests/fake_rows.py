"""Made-up rows of the study in use, named as its trials are, for reports on more than anyone could train."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.plan.catalogue import catalogue, written_levels
from bench.plan.cells import Cell
from bench.plan.factors import level_of
from bench.plan.protocol import Protocol
from bench.plan.trials import trials
from bench.record.columns import columns, factors_of, to_cells
from bench.record.schema import SCHEMA, ConfusionRow, CorrectRow, EpochRow, PartRow, Row, TrialRow
from bench.record.store import _FILES, Store, _csv_text
from bench.run.rows import Named, name_trials
from bench.train.data import Data


def write_rows(folder: Path, cells: Sequence[Cell], seeds: int, protocol: Protocol, data: Data) -> Store:
    """Fills an empty results folder with a done trial of every cell and seed; the same rows every time."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows: dict[type[Row], list[Row]] = {}
    named = list(name_trials(trials(cells, seeds, protocol), data, data.digest))
    for one in named:
        for row in _rows_of(one, data, generator):
            rows.setdefault(type(row), []).append(row)
    parts = {one.parts.training: one.training for one in named}
    rows[PartRow] = [PartRow(digest, *part) for digest, own in parts.items() for part in own.items()]
    for row_type, of_type in rows.items():
        header = columns(row_type, list(factors_of(of_type[0])))
        text = _csv_text([header]) + _csv_text(to_cells(row, header) for row in of_type)
        (folder / {**_FILES, TrialRow: "trials.csv"}[row_type]).write_text(text, encoding="utf-8")
    store = Store(folder)
    if data.class_names is not None:
        store.add_class_names(data.digest, data.class_names)
    return store


def _accuracy(cell: Cell, generator: np.random.Generator) -> float:
    """The more levels differ from `off`, the better; the later the architecture, the better."""
    raised = sum(0.002 * factor.levels.index(level_of(cell.levels, factor)) for factor in catalogue().factors)
    place = list(catalogue().architectures).index(cell.architecture) / len(catalogue().architectures)
    return float(np.clip(0.7 + 0.1 * place + raised + generator.normal(0, 0.005), 0, 1))


def _rows_of(one: Named, data: Data, generator: np.random.Generator) -> Iterator[Row]:
    trial, protocol, images = one.trial, one.trial.protocol, len(data.held_out)
    labels = data.held_out.labels.numpy()
    right = np.zeros(images, dtype=bool)
    right[generator.permutation(images)[: round(_accuracy(trial.cell, generator) * images)]] = True
    predicted = np.where(right, labels, (labels + 1) % data.classes)
    reached = float(right.mean())
    yield TrialRow(
        schema=SCHEMA,
        trial=one.key,
        run="r",
        design="toggles",
        dataset=data.name,
        architecture=trial.cell.architecture,
        levels=written_levels(trial.cell.levels),
        seed=trial.seed,
        epochs=protocol.epochs,
        batch_size=protocol.batch_size,
        optimizer=protocol.optimizer,
        lr=trial.lr,
        selected_lr=trial.selected_lr,
        precision=protocol.precision,
        device=protocol.device,
        val=0,
        status="done",
        error=None,
        test_accuracy=reached,
        test_loss=0.5,
        val_accuracy=None,
        val_loss=None,
        train_accuracy=reached,
        train_loss=0.5,
        best_test_accuracy=reached,
        epochs_to_99=None,
        parameters=1000,
        macs=100_000,
        receptive_field=None,
        train_seconds=1.0,
        train_images_per_second=1000.0,
        peak_memory_bytes=10**9,
        started_at="2026-01-01T00:00:00Z",
        input="x".join(map(str, data.input_shape)),
        classes=data.classes,
        network=one.parts.network,
        training=one.parts.training,
        data=one.parts.data,
        code="c",
        machine="m",
        study=catalogue().name or None,
        source=catalogue().digest or None,
    )
    for epoch in range(1, protocol.epochs + 1):
        test = reached if epoch == protocol.epochs else reached / 2
        yield EpochRow(one.key, epoch, test, 0.5, test, 0.5, None, None, trial.lr, 1.0)
    yield CorrectRow(one.key, images, base64.b64encode(np.packbits(right).tobytes()).decode())
    pairs, times = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    counts = " ".join(f"{true}:{other}:{number}" for (true, other), number in zip(pairs.T, times, strict=True))
    yield ConfusionRow(one.key, data.classes, counts)
