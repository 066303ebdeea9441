"""Times one arm of `bench check speed`, with pytest-benchmark.

This file of the tree that runs the check is copied out of it, and run in a process whose `bench` comes from the arm's
tree. It knows of the harness what everyone does, `bench.study` and the command line: what is renamed behind these
can't switch a workload off. The environment names a JSON file that says which architectures of which study to time.
"""

import contextlib
import gzip
import importlib
import importlib.util
import io
import itertools
import json
import os
import runpy
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import bench.study

TASK = json.loads(Path(os.environ["BENCH_CHECK_TASK"]).read_text(encoding="utf-8"))
MODELS: Sequence[str] = TASK["models"]

# Training images of a study's own data that are enough to time on, and those that measuring is timed on.
IMAGES, MEASURED = 512, 256
BATCH = 64
EPOCHS = 4

if TASK["study"] is not None:
    os.chdir(TASK["cwd"])  # where a study's relative paths are looked up that don't lie beside its file

torch.set_num_threads(1)
torch.set_flush_denormal(True)

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
    folders = _folders(tmp_path)
    timed(lambda: _train(_study(), model, next(folders), epochs=EPOCHS, val=BATCH), 3)


@each_model
def test_measuring(timed: Timed, tmp_path: Path, model: str) -> None:
    """Epochs of one batch of training images that are measured on all others."""
    study, folders = _study(), _folders(tmp_path)
    count = _training_images()
    timed(lambda: _train(study, model, next(folders), epochs=EPOCHS, val=count - BATCH), 2)


def test_rows_written(timed: Timed, tmp_path: Path) -> None:
    """Many trials of a single step each: what is left is building networks, recording rows, counting."""
    study, folders = _study(), _folders(tmp_path)
    count = _training_images()
    trials: dict[str, Any] = {"seeds": 15, "epochs": 1, "val": min(count - BATCH, BATCH)}
    few = replace(study, data=_noise(3 * BATCH))
    timed(lambda: _train(few, MODELS[-1], next(folders), **trials), 2)


def test_planning(timed: Timed, tmp_path: Path) -> None:
    # Every combination of a user's factors may be too many.
    design = ["--design", "factorial"] if TASK["study"] is None else []
    timed(lambda: _command("status", *design, "--seeds", "5", "--data-dir", TASK["data_dir"], *_on_digits(),
                           "--results", str(tmp_path)), 3)  # fmt: skip


def test_row_reading(timed: Timed, tmp_path: Path) -> None:
    if TASK["results"] is None:
        _train(_study(), MODELS[-1], tmp_path, seeds=2, epochs=1)
        timed(lambda: _train(_study(), MODELS[-1], tmp_path, seeds=2, epochs=1), 5)
    else:
        timed(lambda: _command("rows", "--results", TASK["results"]), 5)


def test_report(timed: Timed, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    if TASK["results"] is None:
        _train(_study(), MODELS[-1], tmp_path, seeds=2, epochs=1)
        timed(lambda: bench.study.report(_study(), results=tmp_path, reports=out), 1, 0)
    else:
        timed(lambda: _command("report", "--results", TASK["results"], "--reports", str(out)), 1, 0)


def test_data_loading(timed: Timed, tmp_path: Path) -> None:
    """Files in MNIST's format."""
    files = [tmp_path / f"{split}-{kind}" for split in ("train", "test") for kind in ("images", "labels")]
    generator = np.random.default_rng(0)
    for file, count in zip(files, (20_000, 20_000, 2_000, 2_000), strict=True):
        pixels = file.name.endswith("images")
        shape = (count, 28, 28) if pixels else (count,)
        header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        values = generator.integers(0, 256 if pixels else 10, shape, dtype=np.uint8)
        file.write_bytes(gzip.compress(header + values.tobytes(), 1))
    source = bench.study.from_idx("timed", files[0], files[1], files[2], files[3])
    timed(lambda: source.load(tmp_path), 6)


def test_pool(timed: Timed, tmp_path: Path) -> None:
    """Two processes that start, train a step each, and end."""
    few, folders = replace(_study(), data=_noise(3 * BATCH)), _folders(tmp_path)
    timed(lambda: _train(few, MODELS[-1], next(folders), seeds=2, epochs=1, val=BATCH, workers=2), 1, 0)


def test_start_of_the_command_line(timed: Timed, tmp_path: Path) -> None:
    timed(lambda: _process(tmp_path, "-m", "bench", "--help"), 3)


def test_start_of_python(timed: Timed, tmp_path: Path) -> None:
    timed(lambda: _process(tmp_path, "-c", "import bench.study"), 3)


# What a fresh process trains whose peak memory counts, and how it tells. `ru_maxrss` would start at its parent's.
_TRAINED = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import {module} as driver
driver._train(driver._study(), driver.MODELS[-1], Path({folder!r}), epochs=1, val=driver.BATCH)
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
    here = Path(__file__)
    code = _TRAINED.format(here=str(here.parent), module=here.stem, folder=str(tmp_path / "rows"))
    printed = benchmark.pedantic(lambda: _process(tmp_path, "-c", code), rounds=1)
    benchmark.extra_info["bytes"] = [float(printed.split()[-1])]


def test_calibration_after(timed: Timed) -> None:
    timed(_calibrate, 15, 2)


@cache
def _study() -> bench.study.Study:
    """The built-in networks on the data set that needs no files, or the user's study on a few of its images."""
    if TASK["study"] is None:
        return bench.study.Study(architectures=list(MODELS), data="digits", batch_size=BATCH)
    study = _users_study(TASK["study"])
    given = study.data[0] if isinstance(study.data, list | tuple) else study.data
    if given is None or isinstance(given, str):
        return replace(study, data="digits", batch_size=BATCH)  # the built-in ones share its shape
    data = given.load(Path(TASK["data_dir"]))
    train, test = data.train, data.held_out
    few = bench.study.from_arrays(
        data.name,
        train=_spread(train.images, train.labels, IMAGES),
        test=_spread(test.images, test.labels, MEASURED),
        classes=list(data.class_names) if data.class_names else data.classes,
    )
    return replace(study, data=few, batch_size=BATCH)


def _users_study(named: str) -> bench.study.Study:
    """The study that `FILE.py:NAME` or `module:NAME` names; a file's path is one in the tree."""
    place, _, name = named.rpartition(":")
    if not place.endswith(".py"):
        found: bench.study.Study = getattr(importlib.import_module(place), name)
        return found
    path = Path(TASK["root"], place)
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{place} can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    study: bench.study.Study = getattr(module, name)
    return study


def _spread(images: Any, labels: Any, count: int) -> tuple[Any, Any]:
    """So many of the images, evenly spread, or all of them."""
    step = max(len(labels) // count, 1)
    return images[::step], labels[::step]


def _sample() -> Any:
    """The data that the study is timed on."""
    study = _study()
    if isinstance(study.data, str):
        from sklearn.datasets import load_digits  # what the built-in data set is made of: its size is all that counts

        return len(load_digits().target) // 2, (1, 28, 28), 10
    data = study.data.load(Path(TASK["data_dir"]))
    return len(data.train.labels), tuple(data.train.images.shape[1:]), data.classes


def _training_images() -> int:
    count: int = _sample()[0]
    return count


def _noise(count: int) -> Any:
    """A data set of so many images of noise, of the study's size."""
    _, shape, classes = _sample()
    generator = np.random.default_rng(0)

    def split(size: int) -> tuple[np.ndarray, np.ndarray]:
        return generator.integers(0, 256, (size, *shape), dtype=np.uint8), np.arange(size) % classes

    return bench.study.from_arrays("noise", train=split(count), test=split(max(classes, BATCH)), classes=classes)


def _folders(parent: Path) -> Iterator[Path]:
    """New folders for rows: a run whose rows are there trains nothing."""
    return (parent / str(number) for number in itertools.count())


def _train(study: bench.study.Study, model: str, folder: Path, **options: Any) -> None:
    given: dict[str, Any] = {"seeds": 1, "workers": 0, "precision": "fp32", "device": "cpu"} | options
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        rows = bench.study.run(study, models=[model], design="presets", timing=False, results=folder, **given)
    if set(rows["status"]) != {"done"}:
        raise RuntimeError(f"a trial {rows['status'].iloc[0]}: {rows['error'].iloc[0]}")


def _on_digits() -> list[str]:
    return ["--dataset", "digits"] if TASK["study"] is None else []


def _command(name: str, *options: str) -> None:
    """`python -m bench` in this process. Raises RuntimeError where it fails."""
    named = [] if TASK["study"] is None else [_in_tree(TASK["study"])]
    before, errors, said = sys.argv, sys.stderr, io.StringIO()
    sys.argv = ["bench", name, *named, *options]
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_module("bench", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"bench {name} ended with {ended.code}: {said.getvalue().strip()[-200:]}") from None
    finally:
        sys.argv, sys.stderr = before, errors


def _in_tree(named: str) -> str:
    """The study as the command line takes it, from any folder."""
    return str(Path(TASK["root"], named)) if ".py" in named else named


def _process(folder: Path, *words: str) -> str:
    """What a fresh Python process prints. Under a profile it is profiled as well. Raises RuntimeError with the last
    line of its errors."""
    profile = TASK["profile"]
    command = [sys.executable, *words]
    if profile is not None:
        code = folder / "profiled.py"
        if words[0] == "-c":
            code.write_text(words[1], encoding="utf-8")
        words = (str(code),) if words[0] == "-c" else words
        command = [sys.executable, "-m", "cProfile", "-o", f"{profile}-process.prof", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RuntimeError(f"a process ended with {done.returncode}: {last}")
    return done.stdout
