"""Worker processes that do something at the same moment; where one of them fails, none waits for it."""

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from threading import BrokenBarrierError
from typing import TypeVar

from bench.errors import BenchError
from bench.run.interrupt import kept_from_new_processes
from bench.run.worker import reason_of

T = TypeVar("T")

# How long a worker waits for the others to be ready.
PATIENCE_SECONDS = 120.0


class Together:
    """What so many worker processes meet at; each calls `join` when it starts."""

    def __init__(self, context: BaseContext, workers: int) -> None:
        self._barrier = context.Barrier(workers)

    def join(self) -> None:
        """Makes this process one of them."""
        _joined.append(self)

    def meet(self) -> None:
        """Waits until all are here. Raises BrokenBarrierError when one failed or takes too long."""
        self._barrier.wait(PATIENCE_SECONDS)

    def leave(self) -> None:
        """Says that this process will not come: whoever waits, stops."""
        self._barrier.abort()


_joined: list[Together] = []


def wait_for_the_others() -> None:
    """Called in a worker process that joined."""
    _joined[0].meet()


def all_at_once(pool: ProcessPoolExecutor, workers: int, task: Callable[..., T], *args: object) -> list[T]:
    """Calls `task` in each worker of a pool whose workers joined, and returns what they give. It may call
    `wait_for_the_others`. Raises BenchError as soon as one fails."""
    with kept_from_new_processes():
        futures = [pool.submit(_or_leave, task, *args) for _ in range(workers)]
    wait(futures)
    # Whoever was left waiting failed as well, and doesn't know why.
    futures.sort(key=lambda future: isinstance(future.exception(), BrokenBarrierError))
    return [from_worker(future) for future in futures]


def from_worker(future: "Future[T]") -> T:
    """What a worker process gives. Raises BenchError, in one line, when it failed or died."""
    try:
        return future.result()
    except BenchError:
        raise
    except BrokenProcessPool as error:
        raise BenchError("a process that was to be timed died, as when memory is short") from error
    except BrokenBarrierError as error:
        raise BenchError(f"the processes to be timed were not all ready within {PATIENCE_SECONDS:.0f} s") from error
    except Exception as error:
        raise BenchError(f"a process that was to be timed failed: {reason_of(error)}") from error


def _or_leave(task: Callable[..., T], *args: object) -> T:
    try:
        return task(*args)
    except BaseException:
        _joined[0].leave()
        raise
