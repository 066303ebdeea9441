"""Trains stacks in parallel worker processes. A worker that dies takes nothing with it but the stack it was at."""

import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from bench.errors import BenchError
from bench.plan.trials import Trial
from bench.run.executor import Finished
from bench.run.interrupt import kept_from_new_processes
from bench.run.spawning import worker_context
from bench.run.travel import packed
from bench.run.worker import Train, Trained, start_worker, train_on_own_data, train_stack
from bench.train.data import Data

# How often in a row workers may die before any of them trains.
STARTS = 3

# Once workers have trained, one may have nothing to do for so long while stacks wait, as one has that starts in place
# of a dead one. If that died in the very moment in which it took a stack, it may have left the others locked out.
IDLE_SECONDS = 300


class LocalPool:
    """An Executor of worker processes on this machine, each with one torch thread; a dead worker is replaced.

    Where one dies while none trains, as while they start, all are started again, which costs no stack a try.

    The workers share one copy of `data`, which is moved to shared memory. Raises BenchError when there is too little.
    """

    def __init__(self, workers: int, data: Data, train: Train = train_stack) -> None:
        share_memory(data)
        self.slots = workers
        self._train = train
        context = worker_context()
        self._open = partial(ProcessPool, workers, initializer=start_worker, initargs=(data, packed()), context=context)
        self._pool = self._open()
        self._starts = 1
        self._have_trained = False
        self._idle_since: float | None = None
        self._stacks: dict[ProcessFuture[list[Trained]], Sequence[Trial]] = {}

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""
        future: ProcessFuture[list[Trained]]
        try:
            with kept_from_new_processes():
                future = self._pool.schedule(train_on_own_data, args=(self._train, stack))
        except RuntimeError as error:  # the pool is broken, and `wait` opens another
            future = ProcessFuture()
            future.set_exception(BrokenProcessPool(str(error)))
        self._stacks[future] = stack

    def wait(self, seconds: float) -> list[Finished]:
        """The stacks that came back since, after at most so many seconds. Raises BenchError when the workers die again
        and again before they train. Without time none are started."""
        if seconds and self._is_broken():
            self._open_again("a worker died before any trained")
        elif seconds and self._is_locked_out():
            self._open_again("workers are locked out since one died")
        wait(self._stacks, timeout=seconds, return_when=FIRST_COMPLETED)
        finished = [future for future in self._stacks if future.done() and not _was_lost(future)]
        if finished:
            self._starts, self._have_trained = 1, True
        return [_finished(self._stacks.pop(future), future) for future in finished]

    def _is_broken(self) -> bool:
        try:
            with kept_from_new_processes():  # it starts the workers if nothing has
                return not self._pool.active or any(map(_was_lost, self._stacks))
        except RuntimeError:
            return True

    def _is_locked_out(self) -> bool:
        """Whether stacks have waited for so long beside a worker that has nothing to do."""
        # Stacks are taken in their order, so that those at work are the first of however many there are.
        at_work = sum(1 for _ in islice(filter(ProcessFuture.running, self._stacks), self.slots))
        if at_work == min(self.slots, len(self._stacks)) or not self._have_trained:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        return self._idle_since is not None and time.monotonic() - self._idle_since > IDLE_SECONDS

    def _open_again(self, why: str) -> None:
        if self._starts == STARTS:
            raise BenchError(
                f"the workers died {STARTS} times before they began to train, as when memory is short: "
                "try fewer --workers"
            )
        self._starts += 1
        self._have_trained, self._idle_since = False, None
        print(f"{why}; they are started again", file=sys.stderr)
        self._pool.stop()
        self._pool.join()
        self._pool = self._open()
        lost = {future: stack for future, stack in self._stacks.items() if not future.done() or _was_lost(future)}
        for future, stack in lost.items():
            del self._stacks[future]
            self.submit(stack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.stop()
        self._pool.join()


def share_memory(data: Data) -> None:
    """Moves images and labels to memory that other processes may map instead of copying. Raises BenchError."""
    splits = [split for one in (data, *data.others.values()) for split in (one.train, one.held_out)]
    tensors = [tensor for split in splits for tensor in (split.images, split.labels)]
    try:
        for tensor in tensors:
            tensor.share_memory_()
    except RuntimeError as error:
        size = sum(tensor.nbytes for tensor in tensors) / 2**20
        raise BenchError(
            f"{data.name} needs {size:.0f} MB of shared memory, and there is less: enlarge it (on Linux /dev/shm)"
        ) from error


def _was_lost(future: ProcessFuture[list[Trained]]) -> bool:
    """Whether its pool broke before a worker took it."""
    return future.done() and isinstance(future.exception(), BrokenProcessPool)


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
