"""Training speed against the plain loop: both train the same networks on this machine, in turns, on all its cores or
on its GPU."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import active_children
from typing import Literal

import torch

from bench.plan.cells import Cell
from bench.plan.trials import Trial
from bench.record.machine import usable_cores
from bench.run.memory import Memory, forget_peak, peak_memory
from bench.run.pool import share_memory
from bench.run.together import Processes, wait_for_the_others
from bench.run.travel import packed
from bench.run.worker import start_worker, worker_data
from bench.train.data import Data
from bench.train.fit import begin, together
from bench.train.network import plain_network
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


@dataclass(frozen=True, slots=True)
class SpeedSample:
    """`images`, trained on by all processes together, took `seconds`.

    `memory_bytes` is what all of them hold at their peak, what they share counted once; `training_bytes` what training
    adds to one. Both are of a process that trained nothing else before; None where the system doesn't tell.
    """

    arm: Arm
    cell: Cell
    loader_workers: int | None
    processes: int
    threads: int
    round: int
    images: int
    seconds: float
    memory_bytes: int | None
    training_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Span:
    """When a process trained (`time.perf_counter`, one clock for all processes), and on how much."""

    start: float
    end: float
    images: int


# By number of loading processes; None is the harness.
Memories = Mapping[int | None, Memory | None]


def compare_speeds(
    trials: Sequence[Trial], data: Data, workers: int, rounds: int, members: int = 1
) -> Iterator[SpeedSample]:
    """Times each trial's network in the plain loop, with each of LOADER_WORKERS, and as the harness trains: a stack of
    `members` seeds in each of `workers` processes. A round times everything once, so a machine that slows down slows
    all alike. Raises BenchError when a process fails, which ends the others.
    """
    share_memory(data)
    cores = usable_cores()
    memories = {trial: measure_memory(trial, data, cores, members) for trial in trials}
    with (
        Processes(1, _start_plain, data, packed(), cores) as plain,
        Processes(workers, start_worker, data, packed()) as harness,
    ):
        # The first sample of a process is slow: memory and kernels are not there yet.
        plain.call(_train_plain, trials[0], 0)
        harness.call(_train_harness, trials[0], members)
        for number, trial in product(range(rounds), trials):
            for loaders in LOADER_WORKERS:
                spans = plain.call(_train_plain, trial, loaders)
                yield _sample("plain", trial, loaders, cores, number, spans, memories[trial])
            spans = harness.call(_train_harness, trial, members)
            yield _sample("harness", trial, None, 1, number, spans, memories[trial])


def measure_memory(trial: Trial, data: Data, cores: int, members: int = 1) -> Memories:
    """Of each loop in a process of its own: what a large network took may stay with a process that trains a small one
    next."""
    memories: dict[int | None, Memory | None] = {}
    with Processes(1, _start_plain, data, packed(), cores) as plain:
        for loaders in LOADER_WORKERS:
            [memories[loaders]] = plain.call(_memory_of_plain, trial, loaders)
    with Processes(1, start_worker, data, packed()) as harness:
        [memories[None]] = harness.call(_memory_of_harness, trial, members)
    return memories


def _sample(
    arm: Arm,
    trial: Trial,
    loaders: int | None,
    threads: int,
    number: int,
    spans: Sequence[_Span],
    memories: Memories,
) -> SpeedSample:
    memory = memories[loaders]
    return SpeedSample(
        arm=arm,
        cell=trial.cell,
        loader_workers=loaders,
        processes=len(spans),
        threads=threads,
        round=number,
        images=sum(span.images for span in spans),
        seconds=max(span.end for span in spans) - min(span.start for span in spans),
        memory_bytes=None if memory is None else memory.of_processes(len(spans)),
        training_bytes=None if memory is None else memory.added,
    )


def _start_plain(data: Data, study: bytes, cores: int) -> None:
    start_worker(data, study)
    torch.set_num_threads(cores)
    torch.set_flush_denormal(False)


def _train_plain(trial: Trial, loaders: int) -> _Span:
    """The plain loop in its own process, with `loaders` loading processes beside it."""
    steps = _plain_steps(trial, loaders, WARM_UP + PLAIN_BATCHES)
    _take(WARM_UP, steps)
    start = time.perf_counter()
    _take(PLAIN_BATCHES, steps)
    return _Span(start, time.perf_counter(), PLAIN_BATCHES * trial.protocol.batch_size)


def _memory_of_plain(trial: Trial, loaders: int) -> Memory | None:
    _take(WARM_UP, _plain_steps(trial, 0, WARM_UP))
    before = forget_peak()
    steps = _plain_steps(trial, loaders, WARM_UP)
    _take(WARM_UP, steps)
    return peak_memory(before, [child.pid for child in active_children() if child.pid is not None])


def _plain_steps(trial: Trial, loaders: int, batches: int) -> Iterator[object]:
    """Takes a training step each time."""
    # torchvision takes seconds and memory, and no other process of this command needs it.
    from bench.train.plain import plain_loader, plain_losses

    data, levels, device = worker_data(), trial.cell.levels, trial.protocol.device
    network = plain_network(trial.cell, data.input_shape, data.classes)
    optimizer = torch.optim.SGD(network.to(device).parameters(), lr=0.01, momentum=0.9)
    level = str(levels["augmentation"])
    loader = plain_loader(data, level, trial.protocol.batch_size, batches, loaders)
    return plain_losses(network, ((images.to(device), labels.to(device)) for images, labels in loader), optimizer)


def _train_harness(trial: Trial, members: int) -> _Span:
    """A stack of `members` seeds as workers train it, begun at the same moment in all of them."""
    steps = _harness_steps(trial, members, WARM_UP + HARNESS_BATCHES)
    _take(WARM_UP, steps)
    device = trial.protocol.device
    wait_for(device)
    wait_for_the_others()
    start = time.perf_counter()
    _take(HARNESS_BATCHES, steps)
    wait_for(device)
    return _Span(start, time.perf_counter(), HARNESS_BATCHES * trial.protocol.batch_size * members)


def _memory_of_harness(trial: Trial, members: int) -> Memory | None:
    # Before it is measured, so that kernels are compiled and libraries loaded.
    _take(WARM_UP, _harness_steps(trial, members, WARM_UP))
    before = forget_peak()
    _take(WARM_UP, _harness_steps(trial, members, WARM_UP))
    return peak_memory(before)


def _harness_steps(trial: Trial, members: int, steps: int) -> Iterator[object]:
    """Takes a training step each time."""
    data = worker_data()
    lasting = _with_steps(trial, steps, len(data.train))
    parts = together([replace(lasting, seed=seed) for seed in range(members)], data)
    trainings = [begin(part, data) for part in parts]
    for training in trainings:
        training.network.train()
    for indices in torch.randint(len(data.train), (steps, trial.protocol.batch_size)).unbind():
        yield [training.step(indices) for training in trainings]


def _take(count: int, steps: Iterator[object]) -> None:
    for _ in range(count):
        next(steps)


def _with_steps(trial: Trial, steps: int, images: int) -> Trial:
    """The trial with as many epochs as give it so many steps: where its epochs end, so does its learning rate."""
    epochs = math.ceil(steps / math.ceil(images / trial.protocol.batch_size))
    return replace(trial, protocol=replace(trial.protocol, epochs=max(epochs, trial.protocol.epochs)))
