"""Trains stacks in parallel worker processes. A worker that dies takes nothing with it but the stack it was at."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from bench.plan.trials import Trial
from bench.run.worker import Trained, start_worker, train_stack

Train = Callable[[Sequence[Trial], Path], list[Trained]]


@dataclass(frozen=True, slots=True)
class Finished:
    """A stack that came back: trained, or without outcomes since its worker died; then `death` says how."""

    stack: Sequence[Trial]
    trained: Sequence[Trained]
    death: str | None


class Executor(Protocol):
    """Where stacks are trained. Leaving its context stops what still runs."""

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""

    def wait(self, seconds: float) -> list[Finished]:
        """The stacks that came back since, after at most so many seconds."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class LocalPool:
    """An Executor of worker processes on this machine, each with one torch thread; a dead worker is replaced."""

    def __init__(self, workers: int, data_dir: Path, train: Train = train_stack) -> None:
        self._data_dir = data_dir
        self._train = train
        self._pool = ProcessPool(workers, initializer=start_worker, context=multiprocessing.get_context("spawn"))
        self._stacks: dict[ProcessFuture[list[Trained]], Sequence[Trial]] = {}

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""
        self._stacks[self._pool.schedule(self._train, args=(stack, self._data_dir))] = stack

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
