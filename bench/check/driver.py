"""Times one arm of `bench check speed`, with pytest-benchmark.

This file of the tree under test is copied out of it, and run in a process whose `bench` and `architectures` come from
the arm's tree. Each test leaves word of the files that were imported. A workload that the arm's tree has no code for
fails by itself and leaves no time. The environment says in ROWS which folder of rows to read.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

try:
    from bench.plan.catalogue import catalogue

    MODELS, SOURCES = list(catalogue().architectures), catalogue().datasets
except ImportError:  # a tree from before there was a catalogue
    from architectures.registry import ARCHITECTURES  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from bench.train.datasets import DATASETS  # type: ignore[import-not-found,import-untyped,unused-ignore]

    MODELS, SOURCES = list(ARCHITECTURES), DATASETS

ROWS = "BENCH_CHECK_ROWS"

BATCH = 64
Timed = Callable[[Callable[[], object], int], None]

torch.set_num_threads(1)
torch.set_flush_denormal(True)

each_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture
def timed(benchmark: BenchmarkFixture) -> Timed:
    """Times a function: two rounds to warm up, then as many as it is told. Leaves word of what was imported."""

    def run(function: Callable[[], object], rounds: int) -> None:
        benchmark.pedantic(function, rounds=rounds, warmup_rounds=2)
        benchmark.extra_info["imported"] = sorted(_imported_files())

    return run


def _imported_files() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"architectures", "bench"} and getattr(module, "__file__", None):
            yield str(module.__file__)


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
    timed(_calibrate, 15)


def _training(model: str) -> Any:
    from bench.plan.cells import preset_cell
    from bench.plan.protocol import Protocol
    from bench.plan.trials import Trial
    from bench.train.single import Training

    data = _data()
    return Training(Trial(preset_cell(model), 0, Protocol(data.name)), data)


@cache
def _data() -> Any:
    """The built-in data set that needs no files."""
    nowhere = Path("unused")
    return next(source for source in SOURCES.values() if not source.files(nowhere)).load(nowhere)


def _noise(count: int) -> torch.Tensor:
    """So many float images of noise, of the data's size."""
    shape = _data().train.images.shape[1:]
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


@each_model
def test_training_step(timed: Timed, model: str) -> None:
    training = _training(model)
    training.network.train()
    indices = torch.arange(BATCH)

    def steps() -> None:
        for _ in range(4):
            training.step(indices)

    timed(steps, 12)


def _network(model: str) -> Any:
    """As it trains and is measured; a tree that lacks `fuse` has its layers fused as they are."""
    from bench.plan.cells import preset_cell
    from bench.train.network import plain_network

    data = _data()
    network = plain_network(preset_cell(model), tuple(data.train.images.shape[1:]), data.classes)
    try:
        from bench.train.fast.fuse import fuse
    except ImportError:
        return network.eval()
    return fuse(network).eval()


@each_model
def test_inference(timed: Timed, model: str) -> None:
    network = _network(model)
    images = _noise(50)

    @torch.inference_mode()
    def infer() -> None:
        for _ in range(12):
            network(images)

    timed(infer, 12)


@each_model
def test_latency(timed: Timed, model: str) -> None:
    network = _network(model)
    image = _noise(1)

    @torch.inference_mode()
    def infer() -> None:
        for _ in range(50):
            network(image)

    timed(infer, 12)


def test_fit(timed: Timed) -> None:
    from bench.plan.cells import preset_cell
    from bench.plan.protocol import Protocol
    from bench.plan.trials import Trial
    from bench.train.fit import fit

    data = _data()
    trial = Trial(preset_cell(MODELS[-1]), 0, Protocol(data.name, epochs=2))
    timed(lambda: fit([trial], data), 3)


def test_planning(timed: Timed) -> None:
    from bench.plan.catalogue import catalogue
    from bench.plan.designs import DESIGNS
    from bench.plan.protocol import Protocol
    from bench.plan.trials import trials

    def plan() -> set[Any]:
        cells = DESIGNS["factorial"](list(MODELS), catalogue().factors)
        return set(trials(cells, 10, Protocol("any")))

    timed(plan, 8)


def test_row_reading(timed: Timed) -> None:
    from bench.record.store import Store

    folder = Path(os.environ[ROWS])

    def read() -> None:
        store = Store(folder)
        for rows in (store.trials, store.epochs, store.correct, store.timings, store.speeds):
            rows()

    timed(read, 8)


def test_report(timed: Timed, tmp_path: Path) -> None:
    from bench.record.store import Store
    from bench.report.evidence import gather

    try:
        ask = import_module("bench.report.report").Report
        make_tables = import_module("bench.report.sections").make_tables
        findings = import_module("bench.report.sections.effects.sentences").findings
    except ImportError:  # a tree from before there were sections
        ask = import_module("bench.report.analysis").analyse
        make_tables = import_module("bench.report.tables").make_tables
        findings = import_module("bench.report.findings").findings

    folder = Path(os.environ[ROWS])
    evidence = gather(Store(folder), folder.name)

    def report() -> None:
        asked = ask(evidence, 0.0005)
        text = "".join(table.markdown() + table.csv() for table in make_tables(asked))
        (tmp_path / "report.md").write_text(text + repr(list(findings(asked))), encoding="utf-8")

    timed(report, 6)


def test_calibration_after(timed: Timed) -> None:
    timed(_calibrate, 15)
