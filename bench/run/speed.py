"""Training speed against the plain loop: the same networks trained in several ways on this machine, in turns, on all
its cores or on its GPU."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import active_children
from typing import Literal

import torch

from bench.plan.cells import Cell
from bench.plan.protocol import Precision
from bench.plan.trials import Trial
from bench.record.machine import usable_cores
from bench.run.countdown import Countdown
from bench.run.memory import Memory, forget_peak, peak_memory
from bench.run.peak import Peak, measure_peak, sum_of
from bench.run.pool import share_memory
from bench.run.spawning import follow_parent
from bench.run.together import Processes, wait_for_the_others
from bench.run.travel import packed
from bench.run.worker import start_worker, worker_data
from bench.train.data import Data
from bench.train.fast.fuse import switched_off
from bench.train.fit import begin, together
from bench.train.network import plain_network
from bench.train.summary import count_training_macs
from bench.train.timing import wait_for

# The plain loop; the harness; the harness without its kernels, on torch's own layers.
ArmName = Literal["plain", "harness", "unfused"]

# The plain loop gets whichever number of loading processes suits it best.
LOADER_WORKERS = (0, 1, 2)

# Batches of a sample: about a second of either loop, and before it some that aren't timed.
WARM_UP = 8
PLAIN_BATCHES = 30
HARNESS_BATCHES = 90

# Trials that a GPU trains as one stack: a study's seeds, and its levels that don't change shapes.
GPU_STACK = 30


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to train. `loader_workers` are the plain loop's loading processes."""

    name: ArmName
    precision: Precision
    loader_workers: int | None = None

    def __str__(self) -> str:
        if self.name == "plain":
            return f"plain loop, {self.precision}, loading by {self.loader_workers}"
        return f"harness{'' if self.name == 'harness' else ' without its kernels'}, {self.precision}"


@dataclass(frozen=True, slots=True)
class SpeedSample:
    """`images`, trained on by all processes together, took `seconds`.

    `memory_bytes` is what all of them hold at their peak, what they share counted once; `training_bytes` what training
    adds to one. Both are of a process that trained nothing else before; None where the system doesn't tell, and for the
    harness without its kernels. `step_macs` are those of a step, an image's share; `peak` is of all cores in the same
    round, None on a GPU.
    """

    arm: ArmName
    cell: Cell
    precision: Precision
    loader_workers: int | None
    processes: int
    threads: int
    round: int
    images: int
    seconds: float
    memory_bytes: int | None
    training_bytes: int | None
    step_macs: int
    peak: Peak | None


@dataclass(frozen=True, slots=True)
class _Span:
    """When a process trained (`time.perf_counter`, one clock for all processes), and on how much."""

    start: float
    end: float
    images: int


def arms_of(trial: Trial) -> list[Arm]:
    """The ways that are timed: fp32 always, so that there is a ratio of like to like, and the trial's precision. On a
    GPU there are no kernels to switch off."""
    precisions: list[Precision] = ["fp32"]
    if trial.protocol.precision != "fp32":
        precisions.append(trial.protocol.precision)
    names: list[ArmName] = ["harness"] if trial.protocol.device == "cuda" else ["harness", "unfused"]
    plain = [Arm("plain", "fp32", loaders) for loaders in LOADER_WORKERS]
    return plain + [Arm(name, precision) for precision in precisions for name in names]


def compare_speeds(
    trials: Sequence[Trial], data: Data, workers: int, rounds: int, members: int = 1
) -> Iterator[SpeedSample]:
    """Times each trial's network in each of its `arms_of`: the plain loop on all cores, and as the harness trains, a
    stack of `members` seeds in each of `workers` processes. A round times everything once, the machine's peak as well,
    so a machine that slows down slows all alike. Says on stderr how far it is. Raises BenchError when a process fails,
    which ends the others.
    """
    share_memory(data)
    cores, on_cpu = usable_cores(), trials[0].protocol.device == "cpu"
    arms = {trial: arms_of(trial) for trial in trials}
    macs = {trial: _step_macs(trial, data) for trial in trials}
    steps = [(trial, arm) for trial in trials for arm in arms[trial]]
    a_round = ["peak"] * on_cpu + [f"{trial.cell.label}, {arm}" for trial, arm in steps]
    with Countdown(["memory"] * len(trials) + ["start"] + a_round * rounds, "timing") as progress:
        memories: dict[Trial, Mapping[Arm, Memory | None]] = {}
        for trial in trials:
            memories[trial] = measure_memory(trial, data, cores, members)
            progress.done(f"{trial.cell.label}: memory measured")
        with (
            Processes(1, _start_plain, data, packed(), cores) as plain,
            Processes(workers, start_worker, data, packed()) as harness,
            Processes(cores if on_cpu else 0, follow_parent) as all_cores,
        ):
            # The first sample of a process is slow: memory and kernels are not there yet.
            plain.call(_train_plain, trials[0], 0)
            for arm in [arm for arm in arms[trials[0]] if arm.name != "plain"]:
                harness.call(_train_harness, trials[0], arm, members)
            progress.done("processes started")
            for number in range(rounds):
                peak = None
                if on_cpu:
                    peak = sum_of(all_cores.call(measure_peak))
                    progress.done(f"round {number + 1}: peak {peak.flops / 1e9:,.0f} GFLOP/s")
                for trial, arm in steps:
                    if arm.name == "plain":
                        spans = plain.call(_train_plain, trial, arm.loader_workers or 0)
                    else:
                        spans = harness.call(_train_harness, trial, arm, members)
                    memory = memories[trial].get(arm)
                    sample = SpeedSample(
                        arm=arm.name,
                        cell=trial.cell,
                        precision=arm.precision,
                        loader_workers=arm.loader_workers,
                        processes=len(spans),
                        threads=cores if arm.name == "plain" else 1,
                        round=number,
                        images=sum(span.images for span in spans),
                        seconds=max(span.end for span in spans) - min(span.start for span in spans),
                        memory_bytes=None if memory is None else memory.of_processes(len(spans)),
                        training_bytes=None if memory is None else memory.added,
                        step_macs=macs[trial],
                        peak=peak,
                    )
                    speed = f"{sample.images / sample.seconds:,.0f} images/s"
                    progress.done(f"round {number + 1}: {trial.cell.label}, {arm}: {speed}")
                    yield sample


def measure_memory(trial: Trial, data: Data, cores: int, members: int = 1) -> Mapping[Arm, Memory | None]:
    """Of the plain loop and of the harness with its kernels, each in a process of its own: what a large network took
    may stay with a process that trains a small one next."""
    memories: dict[Arm, Memory | None] = {}
    arms = arms_of(trial)
    with Processes(1, _start_plain, data, packed(), cores) as plain:
        for arm in arms:
            if arm.name == "plain":
                [memories[arm]] = plain.call(_memory_of_plain, trial, arm.loader_workers or 0)
    for arm in arms:
        if arm.name == "harness":
            with Processes(1, start_worker, data, packed()) as harness:
                [memories[arm]] = harness.call(_memory_of_harness, trial, arm, members)
    return memories


def _step_macs(trial: Trial, data: Data) -> int:
    with torch.random.fork_rng(devices=[]):
        network = plain_network(trial.cell, data.input_shape, data.classes)
    return count_training_macs(network, data.input_shape)


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


def _train_harness(trial: Trial, arm: Arm, members: int) -> _Span:
    """A stack of `members` seeds as workers train it, begun at the same moment in all of them."""
    steps = _harness_steps(trial, arm, members, WARM_UP + HARNESS_BATCHES)
    _take(WARM_UP, steps)
    device = trial.protocol.device
    wait_for(device)
    wait_for_the_others()
    start = time.perf_counter()
    _take(HARNESS_BATCHES, steps)
    wait_for(device)
    return _Span(start, time.perf_counter(), HARNESS_BATCHES * trial.protocol.batch_size * members)


def _memory_of_harness(trial: Trial, arm: Arm, members: int) -> Memory | None:
    # Before it is measured, so that kernels are compiled and libraries loaded.
    _take(WARM_UP, _harness_steps(trial, arm, members, WARM_UP))
    before = forget_peak()
    _take(WARM_UP, _harness_steps(trial, arm, members, WARM_UP))
    return peak_memory(before)


def _harness_steps(trial: Trial, arm: Arm, members: int, steps: int) -> Iterator[object]:
    """Takes a training step each time."""
    data = worker_data()
    lasting = _with_steps(trial, steps, len(data.train))
    lasting = replace(lasting, protocol=replace(lasting.protocol, precision=arm.precision))
    with switched_off() if arm.name == "unfused" else nullcontext():
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
