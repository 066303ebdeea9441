"""New processes that don't run the script again that started them, and that leave nothing behind when they are killed.

Python imports a script anew in each process that it spawns, which for a script without `if __name__ == "__main__":`
would start the run again in every worker. Nothing that is sent to workers needs it: a study's functions travel by
content. And multiprocessing's locks have a name in shared memory while spawned processes use them, which stays there
for good when all of these are killed.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, spawn
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from typing import Any

from bench.run.interrupt import kept_from_new_processes

# What workers import before they train, torch's compiler among it, which its optimisers ask for: five seconds.
_WORKERS_NEED = ["bench.run.worker", "torch._dynamo"]

# Elsewhere there is no such thing, or the system's libraries don't survive it.
_HAS_SERVER = sys.platform == "linux"

_starting = threading.Lock()


class _Nameless(BaseContext):
    def RLock(self) -> Any:  # noqa: N802  # multiprocessing's name
        """A lock that its holder may take again."""
        return PipeLock(*self.Pipe(duplex=False)) if os.name == "posix" else super().RLock()


class _Spawned(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # multiprocessing's name
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class BareSpawnContext(_Nameless, SpawnContext):
    """As multiprocessing's context `spawn`, whose processes leave the parent's main module alone and whose locks have
    no names."""

    Process = _Spawned


class _Forked(ForkServerProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # multiprocessing's name
        with _without_main():
            return ForkServerProcess._Popen(process_obj)


class BareForkServerContext(_Nameless, ForkServerContext):
    """The same, whose processes are copies of one that has imported what workers need."""

    Process = _Forked


def import_ahead() -> None:
    """Lets what workers need be imported beside what this process does next, by one process for all of them."""
    if _HAS_SERVER:
        forkserver.set_forkserver_preload(_WORKERS_NEED)
        with kept_from_new_processes(signal.SIGTERM):  # it ends with the last process that could ask it for another
            forkserver.ensure_running()


def worker_context() -> BareSpawnContext | BareForkServerContext:
    """What workers are started in: as copies of the process that `import_ahead` starts, as soon as that is ready."""
    if not _HAS_SERVER:
        return BareSpawnContext()
    import_ahead()
    context = BareForkServerContext()
    first = context.Process(target=int)
    first.start()  # waits for the imports, and is interrupted by signals, which what starts in it later isn't
    first.join()
    return context


def follow_parent() -> None:
    """Sets a child process up: Ctrl-C is its parent's to handle, and without a parent it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _HAS_SERVER:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class PipeLock:
    """A lock between processes and their threads, which its holder may take again: a byte in a pipe, which is there
    while the lock is free. Used as multiprocessing's RLock, which has a name."""

    def __init__(self, reader: "Connection[Any, Any]", writer: "Connection[Any, Any]") -> None:
        os.set_blocking(reader.fileno(), False)
        os.write(writer.fileno(), b"\0")
        self._reader, self._writer = reader, writer
        self._holder: int | None = None
        self._times = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Takes the lock, after at most so many seconds, None for as long as it takes. Whether it could."""
        thread = threading.get_ident()
        end = None if timeout is None else time.monotonic() + timeout
        while self._holder != thread and not self._take():
            left = None if end is None else end - time.monotonic()
            if not block or (left is not None and left <= 0):
                return False
            self._reader.poll(left)
        self._holder = thread
        self._times += 1
        return True

    def release(self) -> None:
        """Gives it back, which its holder does as often as it took it."""
        self._times -= 1
        if not self._times:
            self._holder = None
            os.write(self._writer.fileno(), b"\0")

    def _take(self) -> bool:
        try:
            return bool(os.read(self._reader.fileno(), 1))
        except BlockingIOError:
            return False

    def __getstate__(self) -> tuple[Any, Any]:
        return self._reader, self._writer

    def __setstate__(self, state: tuple[Any, Any]) -> None:
        self._reader, self._writer = state
        self._holder, self._times = None, 0


@contextmanager
def _without_main() -> Iterator[None]:
    """Within it, what this thread tells a new process leaves the main module out."""
    with _starting:
        original, thread = spawn.get_preparation_data, threading.get_ident()

        def without_main(name: str) -> dict[str, Any]:
            said = original(name)
            if threading.get_ident() != thread:
                return said
            return {key: value for key, value in said.items() if not key.startswith("init_main")}

        spawn.get_preparation_data = without_main
        try:
            yield
        finally:
            spawn.get_preparation_data = original
