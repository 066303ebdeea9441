"""Ctrl-C and SIGTERM, held back until a row is whole."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

from bench.interrupted import raise_for, raise_if_lost, receive

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_AT_ONCE_SECONDS = 0.5


class Interrupts:
    """Remembers the first signal; `raise_if_any` turns it into an exception where that is safe."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._since = 0.0

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler. Another signal of an impatient user is not held back; one that comes at once is the same, which
        was sent to the process and to its group, as `timeout` does."""
        if self._received is None:
            self._received, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > _AT_ONCE_SECONDS:
            receive(number, frame)

    @property
    def received(self) -> bool:
        """Whether a signal came."""
        return self._received is not None

    def raise_if_any(self) -> None:
        """Raises KeyboardInterrupt or Terminated if a signal came."""
        if self._received is not None:
            raise_for(self._received)


@contextmanager
def held_back() -> Iterator[Interrupts]:
    """Within it, signals wait for `raise_if_any`. Handlers belong to the main thread: elsewhere nothing is held
    back. Raises what a signal has raised before and was lost."""
    raise_if_lost()
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = [signal.signal(number, interrupts.receive) for number in SIGNALS]
    try:
        yield interrupts
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def kept_from_new_processes(*more: signal.Signals) -> Iterator[None]:
    """Within it, this thread starts processes, and threads that start some, without Ctrl-C, which a terminal sends to
    all of them, and without `more`: they are this process's to answer, from the children's first moment on."""
    if not hasattr(signal, "pthread_sigmask"):  # not on Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts later, it lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *more})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
