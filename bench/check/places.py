"""Where in the repository something is written, for notes in a pull request's diff."""

import inspect
from functools import partial
from pathlib import Path

from bench.plan.catalogue import catalogue


def place_of_architecture(name: str) -> tuple[str, int] | None:
    """The file, relative to the current folder, and the line of an architecture's builder; None where it has none, or
    lies elsewhere."""
    architecture = catalogue().architectures.get(name)
    build = None if architecture is None else architecture.build
    while isinstance(build, partial):
        build = build.func
    try:
        file, line = inspect.getsourcefile(build), inspect.getsourcelines(build)[1]  # type: ignore[arg-type]
    except (TypeError, OSError):
        return None
    path = Path(file or "").resolve()
    return (path.relative_to(Path.cwd()).as_posix(), line) if path.is_relative_to(Path.cwd()) else None
