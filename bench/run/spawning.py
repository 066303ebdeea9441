"""New processes that don't run the script again that started them, and that leave nothing behind when they are killed.

Python imports a script anew in each process that it spawns, which for a script without `if __name__ == "__main__":`
would start the run again in every worker. Nothing that is sent to workers needs it: a study's functions travel by
content. And multiprocessing's locks have a name in shared memory while spawned processes use them, which stays there
for good when all of these are killed.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

_starting = threading.Lock()


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # multiprocessing's name
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class BareSpawnContext(SpawnContext):
    """As multiprocessing's context `spawn`, whose processes leave the parent's main module alone and whose locks have
    no names."""

    Process = _Process

    def RLock(self) -> Any:  # noqa: N802  # multiprocessing's name
        """A lock that its holder may take again."""
        return PipeLock(*self.Pipe(duplex=False)) if os.name == "posix" else super().RLock()


def follow_parent() -> None:
    """Sets a child process up: Ctrl-C is its parent's to handle, and without a parent it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
