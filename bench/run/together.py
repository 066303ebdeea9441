"""Worker processes that do something at the same moment; where one of them fails, none waits for it.

They and this process talk through pipes. multiprocessing's queues and barriers would have names in shared memory, which
stay there for good when all of these processes are killed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from bench.errors import BenchError
from bench.run.interrupt import kept_from_new_processes
from bench.run.spawning import BareSpawnContext
from bench.run.worker import reason_of

T = TypeVar("T")
_Pipe: TypeAlias = "Connection[Any, Any]"

# How long a process waits for the others to be ready.
PATIENCE_SECONDS = 120.0


class Processes:
    """So many new processes, each set up by `start(*arguments)`. They end with the block, at once where it fails."""

    def __init__(self, count: int, start: Callable[..., None], *arguments: object) -> None:
        context = BareSpawnContext()
        self._pipes: list[_Pipe] = []
        self._processes = []
        with kept_from_new_processes():
            for _ in range(count):
                own, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, start, arguments))
                process.start()
                theirs.close()
                self._pipes.append(own)
                self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            if error is not None:
                process.kill()
        for process in self._processes:
            process.join()

    def call(self, task: Callable[..., T], *arguments: object) -> list[T]:
        """Calls `task` in all of them and returns what they give, in no order. It may call `wait_for_the_others`.
        Raises BenchError, in one line, as soon as one fails or dies."""
        busy, ready = list(self._pipes), list[_Pipe]()
        values: list[T] = []
        for pipe in busy:
            _send(pipe, (task, arguments))
        while busy:
            came = wait(busy, PATIENCE_SECONDS if ready else None)
            if not came:
                raise BenchError(f"the processes to be timed were not all ready within {PATIENCE_SECONDS:.0f} s")
            for pipe in [pipe for pipe in busy if pipe in came]:
                answer: _Ready | _Done[T] = _receive(pipe)
                if isinstance(answer, _Done):
                    busy.remove(pipe)
                    values.append(answer.value)
                else:
                    ready.append(pipe)
            if len(ready) == len(busy):
                for pipe in ready:
                    _send(pipe, _Ready())
                ready.clear()
        return values


def wait_for_the_others() -> None:
    """Called in one of the processes: returns when all of them have called it."""
    [pipe] = _to_parent
    pipe.send(_Ready())
    pipe.recv()


_to_parent: list[_Pipe] = []


@dataclass(frozen=True, slots=True)
class _Ready:
    """Of a process: it waits for the others. To it: they wait as well."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BenchError


def _serve(pipe: _Pipe, start: Callable[..., None], arguments: tuple[object, ...]) -> None:
    """What a process does until nobody asks any more."""
    _to_parent.append(pipe)
    started = _answer(start, arguments)
    try:
        while True:
            task, arguments = pipe.recv()
            pipe.send(started if isinstance(started, _Failed) else _answer(task, arguments))
    except (EOFError, OSError):
        return


def _answer(task: Callable[..., T], arguments: tuple[object, ...]) -> _Done[T] | _Failed:
    try:
        return _Done(task(*arguments))
    except BenchError as error:
        return _Failed(error)
    except Exception as error:
        return _Failed(BenchError(f"a process that was to be timed failed: {reason_of(error)}"))


def _send(pipe: _Pipe, message: object) -> None:
    try:
        pipe.send(message)
    except OSError as error:
        raise BenchError(_DIED) from error


def _receive(pipe: _Pipe) -> Any:
    """A process's answer. Raises BenchError where it failed or died."""
    try:
        answer = pipe.recv()
    except (EOFError, OSError) as error:
        raise BenchError(_DIED) from error
    if isinstance(answer, _Failed):
        raise answer.error
    return answer


_DIED = "a process that was to be timed died, as when memory is short"
