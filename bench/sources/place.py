"""Where the path that a study file gives is."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UsageError


@dataclass(frozen=True)
class Place:
    """A path, and the folder of the file that gave it (None: it was given at a prompt)."""

    path: Path
    beside: Path | None

    def find(self) -> Path:
        """The path, when it is absolute. A relative one is looked up beside the file that gave it; what isn't there is
        looked up in the current directory."""
        if self.beside is not None and os.path.exists(self.beside / self.path):
            return self.beside / self.path
        return self.path


def place_of(path: object) -> Place:
    """Called by a function that a study file calls: remembers the file's folder. Raises UsageError for no path."""
    if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
        raise UsageError(f"a path is text like 'pictures', not {path!r}")
    file = sys._getframe(2).f_globals.get("__file__")
    beside = Path(file).resolve().parent if isinstance(file, str) else None
    return Place(Path(path).expanduser(), beside)
