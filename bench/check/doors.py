"""The doors that workloads go through: `bench.study` and the command line, and a study to put through them.

This file of the tree that runs the check is copied out of it beside `driver.py`. It knows of the harness what everyone
does. The environment names a JSON file, TASK, that says which architectures of which study to time.
"""

import contextlib
import importlib
import importlib.util
import io
import itertools
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bench.study

TASK = json.loads(Path(os.environ["BENCH_CHECK_TASK"]).read_text(encoding="utf-8"))
MODELS: Sequence[str] = TASK["models"]

# Training images of a study's own data that are enough to time on, and those that measuring is timed on.
IMAGES, MEASURED = 512, 256
BATCH = 64

if TASK["study"] is not None:
    os.chdir(TASK["cwd"])  # where a study's relative paths are looked up that don't lie beside its file

torch.set_num_threads(1)
torch.set_flush_denormal(True)


@cache
def study_in_use() -> bench.study.Study:
    """The built-in networks on the data set that needs no files, or the user's study on a few of its images."""
    if TASK["study"] is None:
        return bench.study.Study(architectures=list(MODELS), data=TASK["dataset"], batch_size=BATCH)
    study = _users_study(TASK["study"])
    given = study.data[0] if isinstance(study.data, list | tuple) else study.data
    if given is None or isinstance(given, str):
        return replace(study, data=TASK["dataset"], batch_size=BATCH)  # the built-in ones share its shape
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
    study = study_in_use()
    if isinstance(study.data, str):
        count, shape, classes = TASK["sample"]
        return count, tuple(shape), classes
    data = study.data.load(Path(TASK["data_dir"]))
    return len(data.train.labels), tuple(data.train.images.shape[1:]), data.classes


def training_images() -> int:
    """How many there are to time on."""
    count: int = _sample()[0]
    return count


def noise(count: int) -> Any:
    """A data set of so many images of noise, of the study's size."""
    _, shape, classes = _sample()
    generator = np.random.default_rng(0)

    def split(size: int) -> tuple[np.ndarray, np.ndarray]:
        return generator.integers(0, 256, (size, *shape), dtype=np.uint8), np.arange(size) % classes

    return bench.study.from_arrays("noise", train=split(count), test=split(max(classes, BATCH)), classes=classes)


def new_folders(parent: Path) -> Iterator[Path]:
    """New folders for rows: a run whose rows are there trains nothing."""
    return (parent / str(number) for number in itertools.count())


def train(study: bench.study.Study, model: str, folder: Path, **options: Any) -> None:
    """Trains one architecture's preset into a folder, in this process if not said. Raises RuntimeError for a trial that
    isn't done."""
    given: dict[str, Any] = {"seeds": 1, "workers": 0, "precision": "fp32", "device": "cpu"} | options
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        rows = bench.study.run(study, models=[model], design="presets", timing=False, results=folder, **given)
    if set(rows["status"]) != {"done"}:
        raise RuntimeError(f"a trial {rows['status'].iloc[0]}: {rows['error'].iloc[0]}")


def on_dataset() -> list[str]:
    """The built-in study's data set that needs no files, as an option."""
    return ["--dataset", TASK["dataset"]] if TASK["study"] is None else []


def command(name: str, *options: str) -> None:
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


def process(folder: Path, *words: str) -> str:
    """What a fresh Python process prints. Under a profile it is profiled as well. Raises RuntimeError with the last
    line of its errors."""
    profile = TASK["profile"]
    called = [sys.executable, *words]
    if profile is not None:
        code = folder / "profiled.py"
        if words[0] == "-c":
            code.write_text(words[1], encoding="utf-8")
        words = (str(code),) if words[0] == "-c" else words
        called = [sys.executable, "-m", "cProfile", "-o", f"{profile}-process.prof", *words]
    done = subprocess.run(called, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RuntimeError(f"a process ended with {done.returncode}: {last}")
    return done.stdout
