"""What happens in a worker process: one torch thread, the run's data in shared memory, stacks trained as they come."""

import datetime
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from bench.errors import one_line
from bench.plan.trials import Trial
from bench.record.schema import MachineRow
from bench.run.spawning import follow_parent
from bench.run.travel import ArrivalError, unpack
from bench.train.data import Data
from bench.train.fit import fit
from bench.train.outcome import OnEpoch, Outcome


@dataclass(frozen=True, slots=True)
class Trained:
    """A trial that was trained, or failed: then `outcome` is None and `error` says why in one line. `machine` is where,
    None the machine of the run."""

    trial: Trial
    outcome: Outcome | None
    error: str | None
    started_at: str
    peak_memory_bytes: int | None
    machine: MachineRow | None = None


Train = Callable[[Sequence[Trial], Data], list[Trained]]

_data: list[Data] = []
_failures: list[ArrivalError] = []


def start_worker(data: Data, study: bytes) -> None:
    """Called once in a new worker process; `study` is packed."""
    follow_parent()
    use_one_thread()
    _data.append(data)
    try:
        unpack(study)
    except ArrivalError as error:  # raised here it would only break the pool
        _failures.append(error)


def train_on_own_data(train: Train, stack: Sequence[Trial]) -> list[Trained]:
    """Calls `train` in a worker process with the data that the worker was started with. Raises ArrivalError."""
    for error in _failures:
        raise error
    return train(stack, worker_data())


def worker_data() -> Data:
    """The data that this worker process was started with."""
    return _data[0]


def use_one_thread() -> None:
    """Sets torch up for training in this process: a trial's bits must not depend on how many cores there are."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def train_stack(stack: Sequence[Trial], data: Data, on_epoch: OnEpoch | None = None) -> list[Trained]:
    """Trains a stack of trials. An exception becomes the reason of every trial in it.

    Peak memory is this process's, or on a GPU what torch took of its memory.
    """
    started_at = utc_now()
    outcomes: Sequence[Outcome | None]
    try:
        outcomes, error = fit(stack, data, on_epoch), None
    except Exception as exception:
        outcomes, error = [None] * len(stack), reason_of(exception)
    memory = torch.cuda.max_memory_allocated() if stack[0].protocol.device == "cuda" else peak_memory_bytes()
    return [Trained(trial, outcome, error, started_at, memory) for trial, outcome in zip(stack, outcomes, strict=True)]


def reason_of(exception: BaseException) -> str:
    """An exception in one line, as a row may hold it: of a path only the file's name stays."""
    message = re.sub(r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s'\":/\\]+[/\\])+", "", one_line(exception))
    return f"{type(exception).__name__}: {message}"


def utc_now() -> str:
    """The time as rows hold it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def peak_memory_bytes() -> int | None:
    """This process's high-water mark so far."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
