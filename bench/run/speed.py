"""Training speed against the plain loop: both train the same networks on this machine, in turns, on all its cores or
on its GPU."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Literal

import torch

from bench.plan.cells import Cell
from bench.plan.trials import Trial
from bench.record.machine import usable_cores
from bench.run.pool import share_memory
from bench.run.worker import peak_memory_bytes, start_worker, worker_data
from bench.train.data import Data
from bench.train.fit import begin
from bench.train.network import plain_network
from bench.train.plain import plain_loader, plain_losses
from bench.train.timing import wait_for

Arm = Literal["plain", "harness"]

# The plain loop gets whichever number of loading processes suits it best.
LOADER_WORKERS = (0, 1, 2)

# Batches of a sample: about a second of either loop, and before it some that aren't timed.
WARM_UP = 8
PLAIN_BATCHES = 30
HARNESS_BATCHES = 90

# Trials that a GPU trains as one stack: a study's seeds, and its levels that don't change shapes.
GPU_STACK = 30

# How long a worker waits for the others to be ready.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class SpeedSample:
    """`images`, trained on by all processes together, took `seconds`; `memory_bytes` is of all processes."""

    arm: Arm
    cell: Cell
    loader_workers: int | None
    processes: int
    threads: int
    round: int
    images: int
    seconds: float
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Span:
    """When a process trained (`time.perf_counter`, one clock for all processes), on how much, with what memory."""

    start: float
    end: float
    images: int
    memory_bytes: int | None


def compare_speeds(
    trials: Sequence[Trial], data: Data, workers: int, rounds: int, members: int = 1
) -> Iterator[SpeedSample]:
    """Times each trial's network in the plain loop, with each of LOADER_WORKERS, and as the harness trains: a stack of
    `members` seeds in each of `workers` processes. A round times everything once, so a machine that slows down slows
    all alike."""
    share_memory(data)
    cores = usable_cores()
    context = get_context("spawn")
    together = context.Barrier(workers)
    with (
        ProcessPoolExecutor(1, context, initializer=_start_plain, initargs=(data, cores)) as plain,
        ProcessPoolExecutor(workers, context, initializer=_start_harness, initargs=(data, together)) as harness,
    ):
        # The first sample of a process is slow: memory and kernels are not there yet.
        plain.submit(_train_plain, trials[0], 0).result()
        list(harness.map(_train_harness, [trials[0]] * workers, [members] * workers))
        for number, trial in product(range(rounds), trials):
            for loaders in LOADER_WORKERS:
                spans = [plain.submit(_train_plain, trial, loaders).result()]
                yield _sample("plain", trial, loaders, cores, number, spans)
            spans = list(harness.map(_train_harness, [trial] * workers, [members] * workers))
            yield _sample("harness", trial, None, 1, number, spans)


def _sample(
    arm: Arm, trial: Trial, loaders: int | None, threads: int, number: int, spans: Sequence[_Span]
) -> SpeedSample:
    memory = [span.memory_bytes for span in spans if span.memory_bytes is not None]
    return SpeedSample(
        arm=arm,
        cell=trial.cell,
        loader_workers=loaders,
        processes=len(spans),
        threads=threads,
        round=number,
        images=sum(span.images for span in spans),
        seconds=max(span.end for span in spans) - min(span.start for span in spans),
        memory_bytes=sum(memory) if len(memory) == len(spans) else None,
    )


def _start_plain(data: Data, cores: int) -> None:
    start_worker(data)
    torch.set_num_threads(cores)
    torch.set_flush_denormal(False)


_together: list[Barrier] = []


def _start_harness(data: Data, together: Barrier) -> None:
    start_worker(data)
    _together.append(together)


def _train_plain(trial: Trial, loaders: int) -> _Span:
    """The plain loop in its own process, with `loaders` loading processes beside it."""
    data, levels, device = worker_data(), trial.cell.levels, trial.protocol.device
    batch_size = trial.protocol.batch_size
    network = plain_network(trial.cell, data.input_shape, data.classes)
    optimizer = torch.optim.SGD(network.to(device).parameters(), lr=0.01, momentum=0.9)
    loader = plain_loader(data, str(levels["augmentation"]), batch_size, WARM_UP + PLAIN_BATCHES, loaders)
    losses = plain_losses(network, ((images.to(device), labels.to(device)) for images, labels in loader), optimizer)
    for _ in range(WARM_UP):
        next(losses)
    start = time.perf_counter()
    for _ in range(PLAIN_BATCHES):
        next(losses)
    return _Span(start, time.perf_counter(), PLAIN_BATCHES * batch_size, peak_memory_bytes(helpers=loaders))


def _train_harness(trial: Trial, members: int) -> _Span:
    """A stack of `members` seeds as workers train it, begun at the same moment in all of them."""
    training = begin([replace(trial, seed=seed) for seed in range(members)], worker_data())
    training.network.train()
    batch_size, device = trial.protocol.batch_size, trial.protocol.device
    batches = torch.randint(len(training.data.train), (WARM_UP + HARNESS_BATCHES, batch_size)).unbind()
    for indices in batches[:WARM_UP]:
        training.step(indices)
    wait_for(device)
    _together[0].wait(PATIENCE_SECONDS)
    start = time.perf_counter()
    for indices in batches[WARM_UP:]:
        training.step(indices)
    wait_for(device)
    return _Span(start, time.perf_counter(), HARNESS_BATCHES * batch_size * members, peak_memory_bytes())
