"""Two steps of training on a few images, and what they leave: in this process, and in a fresh one."""

import hashlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from pebble import ProcessExpired, ProcessPool
from torch import nn

from bench.errors import BenchError
from bench.plan.cells import Cell, preset_cell
from bench.plan.trials import Trial
from bench.run.interrupt import kept_from_new_processes
from bench.run.spawning import BareSpawnContext
from bench.run.travel import packed
from bench.run.worker import peak_memory_bytes, reason_of, start_worker, train_on_own_data
from bench.train.data import Data
from bench.train.fit import begin
from bench.train.general import GeneralTraining
from bench.train.recipe import recipe_of
from bench.train.timing import seconds_per_image
from bench.trying.images import few_images

STEPS = 2

# How long a process may take to start and to import torch.
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Left:
    """What two steps left: the loss before each and of evaluation, a digest of the weights, and the time they took."""

    losses: tuple[float, ...]
    weights: str
    seconds: float

    @property
    def bits(self) -> tuple[object, ...]:
        """What is the same where two trainings are, bit by bit."""
        return *(loss.hex() for loss in self.losses), self.weights

    @property
    def is_finite(self) -> bool:
        """Whether every loss is a number."""
        return all(map(math.isfinite, self.losses))


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a fresh process found: what two steps left there, the seconds an image takes by cell, and its peak in
    bytes."""

    left: tuple[Left, ...]
    costs: dict[Cell, float]
    peak: int | None


def briefly(trial: Trial, few: Data) -> Trial:
    """The trial with epochs of one step, two of them or more, at its preset's rate: what two cells leave then differs
    by what they are. Raises UsageError for a cell that has no rate."""
    protocol, preset = trial.protocol, replace(trial, cell=preset_cell(trial.cell.architecture))
    _ = trial.lr
    short = replace(protocol, batch_size=len(few.train), epochs=max(STEPS, protocol.epochs), lr=preset.lr, val=0)
    return replace(trial, protocol=short)


def two_steps(trial: Trial, data: Data, *, generally: bool = False) -> Left:
    """Trains two epochs of one step on `data`, which holds one batch: as a run does, or in the general way, which
    rounds alike with and without a recipe of one's own. Raises BenchError for what can't train."""
    alone = GeneralTraining(trial, data, recipe_of(trial), torch.device("cpu")) if generally else None
    training = alone or begin([trial], data)
    losses, seconds = [], 0.0
    for _ in range(STEPS):
        start = time.perf_counter()
        [(_, loss)] = training.epoch()
        seconds = time.perf_counter() - start
        losses.append(loss / len(data.train))
    [(_, held_out)] = training.evaluate()
    return Left((*losses, held_out), _digest(training.network), seconds)


def in_fresh_process(trials: Sequence[Trial], few: Data, whole: Sequence[Trial], data: Data, seconds: float) -> Fresh:
    """Does the same two steps in a new process, which gets the study as a worker does, and there times steps of
    `whole`, trials as they will be, for so many seconds. Raises BenchError where the study doesn't get there or fails
    there."""
    study = packed()
    batch = few_images(data, whole[0].protocol.batch_size)
    context = BareSpawnContext()
    pool = ProcessPool(1, initializer=start_worker, initargs=(batch, study), context=context)
    try:
        with kept_from_new_processes():
            task: Any = partial(_there, list(trials), few, list(whole), seconds)
            future: Any = pool.schedule(train_on_own_data, args=(task, ()), timeout=4 * seconds + _PATIENCE)
        found: Fresh = future.result()
        return found
    except TooSlow:
        raise BenchError("a worker process takes too long to start and to train two steps") from None
    except ProcessExpired as death:
        raise BenchError(f"a worker process ends while it trains two steps (exit code {death.exitcode})") from None
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"a worker process fails: {reason_of(error)}") from error
    finally:
        pool.stop()
        pool.join()


def _there(
    trials: Sequence[Trial], few: Data, whole: Sequence[Trial], seconds: float, _stack: Sequence[Trial], batch: Data
) -> Fresh:
    """What happens in that process; `batch` is what it was started with."""
    left = tuple(two_steps(trial, few) for trial in trials)
    start = time.monotonic()
    costs: dict[Cell, float] = {}
    for trial in whole:
        if trial.cell.step not in costs and time.monotonic() - start < seconds:
            costs[trial.cell.step] = seconds_per_image([trial], batch)[trial.cell]
    return Fresh(left, costs, peak_memory_bytes())


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        if isinstance(tensor, torch.Tensor):
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
