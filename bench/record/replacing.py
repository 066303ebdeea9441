"""Replaces what a file holds. It is written beside, seen on the disk and renamed: at any moment, whatever goes wrong,
the file is there whole, the old one or the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def replace_text(path: Path, text: str) -> None:
    """Replaces what the file holds, or makes it; line ends stay as they are in `text`. Raises OSError."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends and is gone when it fails. Who may read the
    file stays as it was, and a link stays a link. Raises OSError."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # a pipe or a terminal has nothing to lose
        with path.open("wb") as file:
            yield file
        return
    if path.exists() and not os.access(path, os.W_OK):  # renaming would not ask
        path.open("ab").close()
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}.new")
    try:
        with beside.open("wb") as file:
            if path.exists():
                beside.chmod(path.stat().st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def sync(path: Path) -> None:
    """Sees a file on the disk, before it is renamed. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Sees a renaming on the disk, where a folder can be opened."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
