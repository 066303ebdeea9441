"""Ctrl-C and SIGTERM as the command line hears them: they raise at once, and are remembered.

What a handler raises is lost where it comes within a callback of the interpreter or an extension module that takes any
error for an answer, as while modules are imported. A command that would go on is then stopped at the next
`raise_if_lost`.
"""

import signal
import sys
from types import FrameType

_received: list[int] = []


class Terminated(SystemExit):
    """The process was asked to end with SIGTERM."""

    def __init__(self) -> None:
        super().__init__(143)


def listen() -> None:
    """Makes this process's signals raise KeyboardInterrupt and Terminated. Ctrl-C that is ignored, as in the background
    of a shell, stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, receive)
    signal.signal(signal.SIGTERM, receive)
    sys.unraisablehook = _tell


def receive(number: int, _frame: FrameType | None) -> None:
    """The handler."""
    _received.append(number)
    raise_for(number)


def raise_if_lost() -> None:
    """Raises once more what a signal has raised. To be called where everything that was raised would have ended what
    called."""
    if _received:
        raise_for(_received[0])


def raise_for(number: int) -> None:
    """Raises what a signal means."""
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _tell(lost: "sys.UnraisableHookArgs") -> None:
    """Python prints what nobody can catch; what a signal has raised is answered later."""
    if not issubclass(lost.exc_type, KeyboardInterrupt | Terminated):
        sys.__unraisablehook__(lost)
