"""Trains stacks in parallel worker processes. A worker that dies takes nothing with it but the stack it was at."""

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from types import TracebackType
from typing import Self

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from bench.errors import BenchError
from bench.plan.trials import Trial
from bench.run.executor import Finished
from bench.run.worker import Train, Trained, start_worker, train_on_own_data, train_stack
from bench.train.data import Data


class LocalPool:
    """An Executor of worker processes on this machine, each with one torch thread; a dead worker is replaced.

    The workers share one copy of `data`, which is moved to shared memory. Raises BenchError when there is too little.
    """

    def __init__(self, workers: int, data: Data, train: Train = train_stack) -> None:
        share_memory(data)
        self.slots = workers
        self._train = train
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(workers, initializer=start_worker, initargs=(data,), context=context)
        self._stacks: dict[ProcessFuture[list[Trained]], Sequence[Trial]] = {}

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""
        self._stacks[self._pool.schedule(train_on_own_data, args=(self._train, stack))] = stack

    def wait(self, seconds: float) -> list[Finished]:
        """The stacks that came back since, after at most so many seconds."""
        done, _ = wait(self._stacks, timeout=seconds, return_when=FIRST_COMPLETED)
        return [_finished(self._stacks.pop(future), future) for future in list(self._stacks) if future in done]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.stop()
        self._pool.join()


def share_memory(data: Data) -> None:
    """Moves images and labels to memory that other processes may map instead of copying. Raises BenchError."""
    tensors = [tensor for split in (data.train, data.held_out) for tensor in (split.images, split.labels)]
    try:
        for tensor in tensors:
            tensor.share_memory_()
    except RuntimeError as error:
        size = sum(tensor.nbytes for tensor in tensors) / 2**20
        raise BenchError(
            f"{data.name} needs {size:.0f} MB of shared memory, and there is less: enlarge it (on Linux /dev/shm)"
        ) from error


def _finished(stack: Sequence[Trial], future: ProcessFuture[list[Trained]]) -> Finished:
    try:
        return Finished(stack, future.result(), None)
    except ProcessExpired as death:
        return Finished(stack, (), _how(death.exitcode))


def _how(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return "killed, as the system does when memory is short"
    if exit_code < 0:
        return f"ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
