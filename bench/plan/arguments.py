"""What a user's file may give for an argument: checked when it is given, and said with what right looks like."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bench.errors import UsageError, near_matches


def text(what: str, value: object) -> str:
    """A text, which may be empty. Raises UsageError."""
    if not isinstance(value, str):
        raise UsageError(f"{what} is a text, not {_shown(value)}")
    return value


def listed(what: str, example: str, value: object) -> Sequence[Any]:
    """A list or a tuple. Raises UsageError."""
    if not isinstance(value, list | tuple):
        raise UsageError(f"{what} is a list, as in {example}, not {_shown(value)}")
    return value


def mapping(what: str, example: str, value: object) -> Mapping[Any, Any]:
    """A dictionary or the like. Raises UsageError."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{what} is a dictionary, as in {example}, not {_shown(value)}")
    return value


def one_of(what: str, known: Collection[str], value: object) -> str:
    """One of the known names. Raises UsageError with near matches."""
    if not isinstance(value, str) or value not in known:
        hint = near_matches(value, known) if isinstance(value, str) else f"there are {', '.join(known)}"
        raise UsageError(f"{what} is no {_shown(value)}: {hint}")
    return value


def whole(what: str, value: object) -> int:
    """A whole number above 0. Raises UsageError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{what} is a whole number above 0, not {_shown(value)}")
    return value


def flag(what: str, value: object) -> bool:
    """True or False. Raises UsageError."""
    if not isinstance(value, bool):
        raise UsageError(f"{what} is True or False, not {_shown(value)}")
    return value


def above_zero(what: str, value: object) -> float:
    """A finite number above 0. Raises UsageError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise UsageError(f"{what} is a number above 0, not {_shown(value)}")
    return float(value)


def share(what: str, value: object) -> float:
    """A number from 0 to 1. Raises UsageError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise UsageError(f"{what} is a share between 0 and 1, not {_shown(value)}")
    return float(value)


def _shown(value: object) -> str:
    """A value as its author may know it again."""
    shown = repr(value) if isinstance(value, str | bytes | int | float | list | tuple | dict | None) else ""
    return shown if 0 < len(shown) <= _LONGEST else f"a {type(value).__name__}"


_LONGEST = 60
