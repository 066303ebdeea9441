"""Speed of networks, taken while nothing else of ours runs: warmed up, in interleaved rounds, raw samples kept."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from torch.nn.utils import parametrize

from bench.plan.cells import Cell
from bench.plan.protocol import Device
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.evaluation import EVALUATION_BATCH
from bench.train.fit import begin
from bench.train.readouts import AnyTraining

Metric = Literal["train", "inference", "latency"]

TRAIN_STEPS = 8

# Of more networks than that an estimate times some only.
MOST_ESTIMATED = 100
# The batch size and the number of batches.
INFERENCE: Mapping[Metric, tuple[int, int]] = {"inference": (EVALUATION_BATCH, 2), "latency": (1, 20)}


@dataclass(frozen=True, slots=True)
class Sample:
    """`images` took `seconds`."""

    metric: Metric
    cell: Cell
    batch_size: int
    round: int
    images: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Task:
    """Something to time: `run` does it with so many batches, `count` in a sample."""

    metric: Metric
    cell: Cell
    batch_size: int
    count: int
    device: Device
    run: Callable[[int], None]

    @property
    def images(self) -> int:
        """Of a sample."""
        return self.count * self.batch_size


def time_networks(
    trials: Sequence[Trial], data: Data, rounds: int, on_step: Callable[[str], None] = lambda _: None
) -> list[Sample]:
    """Times every distinct network among the trials' cells; the samples, round by round.

    Training is timed per network and augmentation, inference and latency per network. A round times everything once, so
    a machine that slows down slows all alike. `on_step` is told of each of the `timing_steps`.
    """
    tasks, measured = list[_Task](), cache(lambda trial: begin([trial], data))
    for metric, trial in _timed(trials):
        tasks.append(
            _training_task(trial, data, TRAIN_STEPS)
            if metric == "train"
            else _inference_task(metric, measured(trial), *INFERENCE[metric])
        )
        tasks[-1].run(tasks[-1].count)
        on_step(f"{trial.cell.label} warmed up")
    samples = []
    for number in range(rounds):
        for task in tasks:
            samples.append(_time(task, number))
            on_step(f"round {number + 1} of {rounds}, {task.cell.label}")
    return samples


def timing_steps(trials: Sequence[Trial], rounds: int) -> list[str]:
    """What `time_networks` does one after the other: steps with the same name take equally long."""
    names = [f"{metric} {trial.cell.label}" for metric, trial in _timed(trials)]
    return [f"first {name}" for name in names] + names * rounds


def seconds_per_image(trials: Sequence[Trial], data: Data) -> dict[Cell, float]:
    """What training costs, from one short sample per distinct network and augmentation: good for estimates only. Of
    more than MOST_ESTIMATED some are sampled, evenly spread, and the others cost what those do in the middle."""
    distinct = list({trial.cell.step: trial for trial in trials}.values())
    seconds = {}
    for trial in distinct[:: -(-len(distinct) // MOST_ESTIMATED)]:
        task = _training_task(trial, data, 3)
        seconds[task.cell.step] = _time(task, 0).seconds / task.images
    middle = statistics.median(seconds.values())
    return {trial.cell: seconds.get(trial.cell.step, middle) for trial in trials}


def _timed(trials: Sequence[Trial]) -> list[tuple[Metric, Trial]]:
    """What is timed, of the first trial of each kind."""
    by_step = {trial.cell.step: trial for trial in reversed(trials)}
    by_network = {trial.cell.network: trial for trial in reversed(trials)}
    timed: list[tuple[Metric, Trial]] = [("train", trial) for trial in reversed(by_step.values())]
    for trial in reversed(by_network.values()):
        timed += [("inference", trial), ("latency", trial)]
    return timed


def _training_task(trial: Trial, data: Data, steps: int) -> _Task:
    training = begin([replace(trial, cell=trial.cell.step)], data)
    batch_size = trial.protocol.batch_size
    indices = torch.arange(batch_size)

    def run(count: int) -> None:
        for _ in range(count):
            training.step(indices)

    return _Task("train", trial.cell, batch_size, steps, trial.protocol.device, run)


def _inference_task(metric: Metric, training: AnyTraining, batch_size: int, batches: int) -> _Task:
    [trial], data = training.trials, training.data
    network = training.network.eval()
    images = data.held_out.take(torch.arange(batch_size) % len(data.held_out)).images

    # What weights are computed from others come to is known once they are deployed.
    @parametrize.cached()
    @torch.inference_mode()
    def run(count: int) -> None:
        for _ in range(count):
            network(training.prepare(images.float().div_(255), training.dtype))

    return _Task(metric, trial.cell, batch_size, batches, trial.protocol.device, run)


def _time(task: _Task, number: int) -> Sample:
    task.run(1)  # since its last sample others have had the caches, and its memory may have been put away
    wait_for(task.device)
    start = time.perf_counter()
    task.run(task.count)
    wait_for(task.device)
    seconds = time.perf_counter() - start
    return Sample(task.metric, task.cell, task.batch_size, number, task.images, seconds)


def wait_for(device: Device) -> None:
    """For what the device has been given and not finished."""
    if device == "cuda":
        torch.cuda.synchronize()
