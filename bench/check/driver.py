"""Times one arm of `bench check speed`, with pytest-benchmark.

This file of the tree that runs the check is copied out of it, and run in a process whose `bench` comes from the arm's
tree. It knows of the harness what everyone does, `bench.study` and the command line: what is renamed behind these
can't switch a workload off.
"""

import gzip
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from doors import (  # type: ignore[import-not-found]  # it is copied beside this file
    BATCH,
    MODELS,
    TASK,
    command,
    new_folders,
    noise,
    on_dataset,
    process,
    study_in_use,
    train,
    training_images,
)
from pytest_benchmark.fixture import BenchmarkFixture

import bench.study

EPOCHS = 4

# Of images that are read from files, and so many of them.
SIDE, COUNT = 32, 15_000

each_model = pytest.mark.parametrize("model", MODELS)

Timed = Callable[..., None]


@pytest.fixture
def timed(benchmark: BenchmarkFixture) -> Timed:
    """Times a function: so many rounds, after so many to warm up."""

    def run(function: Callable[[], object], rounds: int, warmup_rounds: int = 1) -> None:
        benchmark.pedantic(function, rounds=rounds, warmup_rounds=warmup_rounds)

    return run


def _calibrate() -> float:
    """Work that no change of either tree can touch: some of torch's, some of numpy's, some of Python's."""
    total = 0
    for number in range(100_000):
        total += number * number % 7
    left = torch.ones(160, 160)
    for _ in range(40):
        left = left @ left / 160
    values = np.linspace(0, 1, 200_000)
    for _ in range(5):
        values = np.sqrt(values + 1)
    return total + float(left.sum()) + float(values.sum())


def test_calibration_before(timed: Timed) -> None:
    timed(_calibrate, 15, 2)


@each_model
def test_training(timed: Timed, tmp_path: Path, model: str) -> None:
    """A trial of a few epochs, and what a run does around them."""
    folders = new_folders(tmp_path)
    timed(lambda: train(study_in_use(), model, next(folders), epochs=EPOCHS, val=BATCH), 3)


@each_model
def test_measuring(timed: Timed, tmp_path: Path, model: str) -> None:
    """Epochs of one batch of training images that are measured on all others."""
    study, folders = study_in_use(), new_folders(tmp_path)
    count = training_images()
    timed(lambda: train(study, model, next(folders), epochs=EPOCHS, val=count - BATCH), 2)


def test_rows_written(timed: Timed, tmp_path: Path) -> None:
    """Many trials of a single step each: what is left is building networks, recording rows, counting."""
    study, folders = study_in_use(), new_folders(tmp_path)
    count = training_images()
    trials: dict[str, Any] = {"seeds": 15, "epochs": 1, "val": min(count - BATCH, BATCH)}
    few = replace(study, data=noise(3 * BATCH))
    timed(lambda: train(few, MODELS[-1], next(folders), **trials), 2)


def test_planning(timed: Timed, tmp_path: Path) -> None:
    # Every combination of a user's factors may be too many.
    design = ["--design", "factorial"] if TASK["study"] is None else []
    timed(lambda: command("status", *design, "--seeds", "5", "--data-dir", TASK["data_dir"], *on_dataset(),
                           "--results", str(tmp_path)), 3)  # fmt: skip


def test_row_reading(timed: Timed, tmp_path: Path) -> None:
    if TASK["results"] is None:
        train(study_in_use(), MODELS[-1], tmp_path, seeds=2, epochs=1)
        timed(lambda: train(study_in_use(), MODELS[-1], tmp_path, seeds=2, epochs=1), 5)
    else:
        timed(lambda: command("rows", "--results", TASK["results"]), 5)


def test_report(timed: Timed, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    if TASK["results"] is None:
        train(study_in_use(), MODELS[-1], tmp_path, seeds=2, epochs=1)
        timed(lambda: bench.study.report(study_in_use(), results=tmp_path, reports=out), 1, 0)
    else:
        timed(lambda: command("report", "--results", TASK["results"], "--reports", str(out)), 1, 0)


def test_data_loading(timed: Timed, tmp_path: Path) -> None:
    """Files in the IDX format."""
    files = [tmp_path / f"{split}-{kind}" for split in ("train", "test") for kind in ("images", "labels")]
    generator = np.random.default_rng(0)
    for file, count in zip(files, (COUNT, COUNT, COUNT // 10, COUNT // 10), strict=True):
        pixels = file.name.endswith("images")
        shape = (count, SIDE, SIDE) if pixels else (count,)
        header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        values = generator.integers(0, 256 if pixels else 10, shape, dtype=np.uint8)
        file.write_bytes(gzip.compress(header + values.tobytes(), 1))
    source = bench.study.from_idx("timed", files[0], files[1], files[2], files[3])
    timed(lambda: source.load(tmp_path), 6)


def test_pool(timed: Timed, tmp_path: Path) -> None:
    """Two processes that start, train a step each, and end."""
    few, folders = replace(study_in_use(), data=noise(3 * BATCH)), new_folders(tmp_path)
    timed(lambda: train(few, MODELS[-1], next(folders), seeds=2, epochs=1, val=BATCH, workers=2), 1, 0)


def test_start_of_the_command_line(timed: Timed, tmp_path: Path) -> None:
    timed(lambda: process(tmp_path, "-m", "bench", "--help"), 3)


def test_start_of_python(timed: Timed, tmp_path: Path) -> None:
    timed(lambda: process(tmp_path, "-c", "import bench.study"), 3)


# What a fresh process trains whose peak memory counts, and how it tells. `ru_maxrss` would start at its parent's.
_TRAINED = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import doors
doors.train(doors.study_in_use(), doors.MODELS[-1], Path({folder!r}), epochs=1, val=doors.BATCH)
status = Path("/proc/self/status")
if status.exists():
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    peak = 1024 * int(line.split()[1])
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print("peak", peak)
"""


def test_memory_of_training(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Bytes, not seconds: the peak of a process that trains one trial."""
    code = _TRAINED.format(here=str(Path(__file__).parent), folder=str(tmp_path / "rows"))
    printed = benchmark.pedantic(lambda: process(tmp_path, "-c", code), rounds=1)
    benchmark.extra_info["bytes"] = [float(printed.split()[-1])]


def test_calibration_after(timed: Timed) -> None:
    timed(_calibrate, 15, 2)
