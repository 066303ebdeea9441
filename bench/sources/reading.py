"""What is said of files that can't be read."""

from pathlib import Path

from bench.errors import UsageError


def require_file(path: Path) -> None:
    """Raises UsageError when `path` is absent, or something else than a file: a pipe would be waited for."""
    try:
        if path.is_file():
            return
        there = path.exists() or path.is_symlink()
    except OSError as error:
        raise UsageError(f"{path} can't be reached: {error.strerror}") from None
    if there:
        raise UsageError(f"{path} is no file: remove what is in its place, or give another path")
    raise UsageError(f"{path} is not there: relative paths are looked up beside the study file, then from here")


def unreadable(path: object, what: str, error: Exception) -> UsageError:
    """An error that says why `path` can't be read as `what`, whatever a library made of it."""
    return UsageError(f"{path} can't be read {what}: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """What an exception says, or what kind it is."""
    return " ".join(str(error).split())[:200] or type(error).__name__
