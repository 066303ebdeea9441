"""What a user is told when something can't be done: one line, and an exit code."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_LINE = 1000


class BenchError(Exception):
    """Something outside the program went wrong. The message is the one line that a user reads."""

    exit_code = 1


class UsageError(BenchError):
    """What was asked for makes no sense; asking differently helps."""

    exit_code = 2


class InterruptedRunError(BenchError):
    """A signal ended a command that says how to go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def one_line(error: BaseException) -> str:
    """What an exception says, in one line that can be printed: empty where it says nothing, or fails to."""
    try:
        text = str(error)
    except Exception:
        return ""
    return printable(text[: 2 * _LONGEST_LINE])


def printable(text: str) -> str:
    """A text in one line, shortened, with escapes for what would do something to a terminal instead of standing
    there."""
    words = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in words)
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."


def near_matches(name: str, known: Iterable[str]) -> str:
    """Half a sentence on what `name` may have meant: the nearest known names, or all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
