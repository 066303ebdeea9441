"""Rows as the harness writes them, made up: every toggle, two factorials, curves, bits, confusions, timings, speeds,
images."""

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.plan.catalogue import catalogue, find_factors, written_levels
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import factorial, toggles
from bench.plan.factors import level_of
from bench.plan.keys import Parts, trial_key
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.columns import columns, factors_of, to_cells
from bench.record.schema import (
    SCHEMA,
    ConfusionRow,
    CorrectRow,
    EpochRow,
    ImageRow,
    MachineRow,
    OverheadRow,
    PartRow,
    Row,
    SpeedRow,
    TimingRow,
    TrialRow,
)
from bench.record.store import _FILES, Store, _csv_text
from bench.run.networks import network_today, sizes_today

MODELS = ("model1", "model2", "model3")
BASE = {"model1": 0.9880, "model2": 0.9885, "model3": 0.9900}
EFFECTS = {"batch_norm": 0.0020, "gap": 0.0, "dropout": -0.0006, "augmentation": 0.0010, "scheduler": 0.00075}
FACTORS = find_factors(EFFECTS)
FIELDS = {"model1": 34, "model2": 34, "model3": 44, "model4": None}


def all_cells() -> list[Cell]:
    """Every toggle of every model, a factorial of model1 and one of model3; of schedules two, as in the kept rows."""
    cells = [
        *toggles(MODELS, FACTORS),
        *factorial(["model1"], find_factors(["batch_norm", "gap", "dropout"])),
        *factorial(["model3"], find_factors(["augmentation", "scheduler"])),
    ]
    return [cell for cell in dict.fromkeys(cells) if cell.levels["scheduler"] != "cosine"]


def write_rows(
    folder: Path,
    cells: Sequence[Cell] | None = None,
    seeds: int = 5,
    images: int = 2000,
    dataset: str = "mnist",
    accuracies: Mapping[Cell, Sequence[float] | np.ndarray] | None = None,
) -> Store:
    """Fills a results folder; the same rows every time.

    Accuracies are those given, cell by cell and seed by seed, or follow BASE and EFFECTS but for seed noise.
    """
    generator = np.random.default_rng(0)
    if accuracies is None:
        cells = all_cells() if cells is None else cells
        accuracies = {cell: _mean(cell) + generator.normal(0, 0.0004, seeds) for cell in cells}
    folder.mkdir(parents=True)
    difficulty = np.sort(generator.gumbel(size=images))
    labels = generator.integers(10, size=images)
    rows: dict[type[Row], list[Row]] = {}
    for cell, of_cell in accuracies.items():
        for seed, accuracy in enumerate(of_cell):
            noisy = difficulty + generator.normal(0, 0.15, images)
            right = np.zeros(images, dtype=bool)
            right[np.argsort(noisy)[: round(accuracy * images)]] = True
            predicted = np.where(right, labels, (labels + generator.integers(1, 10, images)) % 10)
            for row in _trial(cell, seed, right, labels, predicted, dataset):
                rows.setdefault(type(row), []).append(row)
    rows[TimingRow] = list(_timings(list(accuracies), generator))
    rows[SpeedRow] = list(_speeds(generator))
    rows[OverheadRow] = [
        OverheadRow("r", count, 2, number, count * 0.02 * float(generator.lognormal(0, 0.05)), "c", "m")
        for number in range(3)
        for count in (10, 100, 1000)
    ]
    rows[PartRow] = [
        PartRow(f"t-{schedule}", part, f"{part} {schedule}" if part == "schedule" else part)
        for schedule in ("step", "cosine", "onecycle")
        for part in ("loop", "evaluation", "optimizer", "schedule", "augmentation")
    ]
    rows[MachineRow] = [
        MachineRow("m", "A <made-up> CPU", "avx2", 2, 2**34, None, "Linux x86_64", "3.11.7", "2.15.0", None)
    ]
    rows[ImageRow] = [_image(index, int(labels[index])) for index in range(images - 60, images)]
    store = Store(folder)
    for row_type, of_type in rows.items():
        text = _text(row_type, of_type)
        (folder / {**_FILES, TrialRow: "trials.csv"}[row_type]).write_text(text)
    return store


def _text(row_type: type[Row], rows: Sequence[Row]) -> str:
    header = columns(row_type, list(factors_of(rows[0])) if rows else None)
    return _csv_text([header]) + _csv_text(to_cells(row, header) for row in rows)


def _mean(cell: Cell) -> float:
    return BASE[cell.architecture] + sum(
        EFFECTS[factor.name] * factor.levels.index(level_of(cell.levels, factor)) for factor in FACTORS
    )


def _trial(
    cell: Cell, seed: int, right: np.ndarray, labels: np.ndarray, predicted: np.ndarray, dataset: str
) -> list[Row]:
    levels = cell.levels
    reached = float(right.mean())
    sizes = sizes_today(cell, "1x28x28", 10)
    assert sizes is not None
    parameters, macs = sizes
    protocol = Protocol(dataset)
    planned = Trial(cell, seed, protocol)
    network = str(network_today(cell, "1x28x28", 10))
    training = f"t-{levels['scheduler']}"
    name = trial_key(planned, Parts(network, training, "d"))
    curve = [
        EpochRow(
            trial=name,
            epoch=epoch,
            train_accuracy=reached - 0.005 - 0.2 * math.exp(-epoch),
            train_loss=0.03 + math.exp(-epoch),
            test_accuracy=reached - (0.05 * math.exp(-epoch) if epoch < protocol.epochs else 0.0),
            test_loss=0.02 + 0.3 * math.exp(-epoch),
            val_accuracy=None,
            val_loss=None,
            lr=planned.lr * (math.sin(epoch / 5) if levels["scheduler"] == "onecycle" else 1),
            seconds=20.0,
        )
        for epoch in range(1, protocol.epochs + 1)
    ]
    trial = TrialRow(
        schema=SCHEMA,
        trial=name,
        run="r",
        design="toggles",
        dataset=dataset,
        architecture=cell.architecture,
        levels=written_levels(levels),
        seed=seed,
        epochs=protocol.epochs,
        batch_size=protocol.batch_size,
        optimizer=protocol.optimizer,
        lr=planned.lr,
        selected_lr=planned.selected_lr,
        precision=protocol.precision,
        device=protocol.device,
        val=0,
        status="done",
        error=None,
        test_accuracy=reached,
        test_loss=0.03,
        val_accuracy=None,
        val_loss=None,
        train_accuracy=reached - 0.005,
        train_loss=0.04,
        best_test_accuracy=reached + 0.0002,
        epochs_to_99=7 if reached > 0.99 else None,
        parameters=parameters,
        macs=macs,
        receptive_field=FIELDS[cell.architecture],
        train_seconds=290.0,
        train_images_per_second=3000.0,
        peak_memory_bytes=10**9,
        started_at=f"2026-01-01T00:00:{seed % 60:02d}Z",
        input="1x28x28",
        classes=10,
        network=network,
        training=training,
        data="d",
        code="c",
        machine="m",
    )
    counts = np.bincount(labels * 10 + predicted, minlength=100)
    bits = base64.b64encode(np.packbits(right).tobytes()).decode()
    return [trial, *curve, CorrectRow(name, len(right), bits), ConfusionRow(name, 10, " ".join(map(str, counts)))]


def _timings(cells: Sequence[Cell], generator: np.random.Generator) -> list[TimingRow]:
    rows: dict[tuple[object, ...], TimingRow] = {}
    for number in range(5):
        for cell in cells:
            levels = cell.levels
            written: dict[str, str | float | None] = dict(written_levels(levels))
            del written["scheduler"]
            for metric, images, speed in (("train", 512, 3000.0), ("inference", 800, 11000.0), ("latency", 40, 2000.0)):
                slower = 1 + 0.1 * bool(levels["batch_norm"]) + 0.3 * bool(levels["dropout"])
                switches = {**written}
                if metric != "train":
                    del switches["augmentation"]
                row = TimingRow(
                    run="r",
                    metric=metric,
                    architecture=cell.architecture,
                    levels=switches,
                    batch_size=64 if metric == "train" else 200 if metric == "inference" else 1,
                    optimizer="sgd",
                    round=number,
                    images=images,
                    seconds=images / speed * slower * float(generator.lognormal(0, 0.02)),
                    threads=1,
                    precision="fp32",
                    device="cpu",
                    code="c",
                    machine="m",
                )
                rows.setdefault((number, metric, cell.architecture, *switches.values()), row)
    return list(rows.values())


def _speeds(generator: np.random.Generator) -> Iterator[SpeedRow]:
    """The harness is 5 times as fast as the plain loop, which does best with one loading process, without its kernels
    3 times, and in bf16 6 times. Every step takes 10 MFLOP, and the machine does 400 GFLOP/s."""
    for number in range(5):
        for name in filter(catalogue().architectures.__contains__, BASE):
            levels = preset_cell(name).levels
            switches = written_levels(levels)
            del switches["scheduler"]
            speeds = (
                *(("plain", "fp32", loaders, speed) for loaders, speed in ((0, 1800), (1, 2000), (2, 1900))),
                ("harness", "fp32", None, 10000),
                ("unfused", "fp32", None, 6000),
                ("harness", "bf16", None, 12000),
            )
            for arm, precision, loaders, speed in speeds:
                yield SpeedRow(
                    run="r",
                    arm=arm,
                    architecture=name,
                    levels=switches,
                    loader_workers=loaders,
                    processes=1 if arm == "plain" else 2,
                    threads=2 if arm == "plain" else 1,
                    batch_size=64,
                    round=number,
                    images=1920,
                    seconds=1920 / speed * float(generator.lognormal(0, 0.02)),
                    memory_bytes=10**9,
                    training_bytes=2 * 10**7,
                    precision=precision,
                    device="cpu",
                    code="c",
                    machine="m",
                    step_macs=5 * 10**6,
                    peak_flops=4e11,
                    copied_bytes=2e10,
                )


def _image(index: int, label: int) -> ImageRow:
    file = io.BytesIO()
    pixels = np.zeros((28, 28), dtype=np.uint8)
    pixels[4:24, 4 + label : 14 + label] = 255
    Image.fromarray(pixels).save(file, format="png")
    return ImageRow("d", index, label, base64.b64encode(file.getvalue()).decode())
