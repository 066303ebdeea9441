"""Speed of networks, taken while nothing else of ours runs: warmed up, in interleaved rounds, raw samples kept."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from bench.plan.cells import Cell
from bench.plan.protocol import Device
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.evaluation import EVALUATION_BATCH
from bench.train.fit import begin

Metric = Literal["train", "inference", "latency"]

TRAIN_STEPS = 8

# Of more networks than that an estimate times some only.
MOST_ESTIMATED = 100
INFERENCE_BATCHES = 4
LATENCY_IMAGES = 40


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
    """Something to time: `run` does it once, for `images` images."""

    metric: Metric
    cell: Cell
    batch_size: int
    images: int
    device: Device
    run: Callable[[], None]


def time_networks(trials: Sequence[Trial], data: Data, rounds: int) -> list[Sample]:
    """Times every distinct network among the trials' cells; the samples, round by round.

    Training is timed per network and augmentation, inference and latency per network. A round times everything once, so
    a machine that slows down slows all alike.
    """
    tasks = [*_training_tasks(trials, data), *_inference_tasks(trials, data)]
    for task in tasks:
        task.run()
    return [_time(task, number) for number in range(rounds) for task in tasks]


def seconds_per_image(trials: Sequence[Trial], data: Data) -> dict[Cell, float]:
    """What training costs, from one short sample per distinct network and augmentation: good for estimates only. Of
    more than MOST_ESTIMATED some are sampled, evenly spread, and the others cost what those do in the middle."""
    distinct = list({trial.cell.step: trial for trial in trials}.values())
    seconds = {}
    for task in _training_tasks(distinct[:: -(-len(distinct) // MOST_ESTIMATED)], data, steps=3):
        task.run()
        seconds[task.cell.step] = _time(task, 0).seconds / task.images
    middle = statistics.median(seconds.values())
    return {trial.cell: seconds.get(trial.cell.step, middle) for trial in trials}


def _training_tasks(trials: Sequence[Trial], data: Data, steps: int = TRAIN_STEPS) -> list[_Task]:
    distinct = {trial.cell.step: trial for trial in reversed(trials)}
    return [_training_task(trial, data, steps) for trial in reversed(distinct.values())]


def _inference_tasks(trials: Sequence[Trial], data: Data) -> list[_Task]:
    distinct = {trial.cell.network: trial for trial in reversed(trials)}
    return [
        task
        for trial in reversed(distinct.values())
        for task in (
            _inference_task("inference", trial, data, EVALUATION_BATCH, INFERENCE_BATCHES),
            _inference_task("latency", trial, data, 1, LATENCY_IMAGES),
        )
    ]


def _training_task(trial: Trial, data: Data, steps: int) -> _Task:
    training = begin([replace(trial, cell=trial.cell.step)], data)
    batch_size = trial.protocol.batch_size
    indices = torch.arange(batch_size)

    def run() -> None:
        for _ in range(steps):
            training.step(indices)

    return _Task("train", trial.cell, batch_size, steps * batch_size, trial.protocol.device, run)


def _inference_task(metric: Metric, trial: Trial, data: Data, batch_size: int, batches: int) -> _Task:
    training = begin([trial], data)
    network = training.network.eval()
    images = data.held_out.take(torch.arange(batch_size) % len(data.held_out)).images

    @torch.inference_mode()
    def run() -> None:
        for _ in range(batches):
            network(training.prepare(images.float().div_(255), training.dtype))

    return _Task(metric, trial.cell, batch_size, batches * batch_size, trial.protocol.device, run)


def _time(task: _Task, number: int) -> Sample:
    wait_for(task.device)
    start = time.perf_counter()
    task.run()
    wait_for(task.device)
    seconds = time.perf_counter() - start
    return Sample(task.metric, task.cell, task.batch_size, number, task.images, seconds)


def wait_for(device: Device) -> None:
    """For what the device has been given and not finished."""
    if device == "cuda":
        torch.cuda.synchronize()
