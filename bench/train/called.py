"""Calls what a user wrote: what it raises becomes one line that names the place in the user's file."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

import torch

from bench.errors import BenchError, UsageError, one_line
from bench.interrupted import Terminated

Result = TypeVar("Result")


def called(what: str, function: Callable[..., Result], *given: Any, place: str = "") -> Result:
    """The result of `function`. Raises UsageError, which says that `what` failed, where and why, for every exception
    but errors of ours and a device that has too little memory. `place` is said where nothing of a user's failed."""
    try:
        return function(*given)
    except (BenchError, torch.OutOfMemoryError, MemoryError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        message = one_line(error)
        reason = f"{type(error).__name__}: {message}" if message else type(error).__name__
        raise UsageError(f"{_raised_at(error) or place_of(function) or place}{what} fails: {reason}") from error


def place_of(function: object) -> str:
    """`flowers.py:12: `, where a function, a class or an object's class is written; nothing where that is unknown, or
    no user's file."""
    written = written_at(function)
    return "" if written is None or _is_installed(written[0]) else f"{Path(written[0]).name}:{written[1]}: "


def written_at(function: object) -> tuple[str, int] | None:
    """The file and the line where a function, a class or an object's class is written; None where that is unknown."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function) if callable(function) else function
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        return code.co_filename, code.co_firstlineno
    kind = function if inspect.isclass(function) else type(function)
    try:
        file, line = inspect.getsourcefile(kind), inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):
        return None
    return None if file is None else (file, line)


def place_of_caller() -> str:
    """Where the function was called that calls this; nothing where that isn't a user's file."""
    frame = sys._getframe(2)
    return (
        "" if _is_installed(frame.f_code.co_filename) else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}: "
    )


def _raised_at(error: BaseException) -> str:
    """The innermost line of a user's file that an error went through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_installed(frame.filename)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""


_OURS = Path(__file__).parent.parent
_STANDARD = Path(traceback.__file__).parent


def _is_installed(file: str) -> bool:
    """Whether a file is not a user's: the package's own, Python's, or installed beside it."""
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or file.startswith("<") or path.is_relative_to(_OURS) or path.is_relative_to(_STANDARD)
