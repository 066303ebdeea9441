"""Where in the repository something is written, for notes in a pull request's diff."""

from pathlib import Path

from bench.plan.catalogue import catalogue
from bench.train.called import written_at


def place_of_architecture(name: str) -> tuple[str, int] | None:
    """The file, relative to the current folder, and the line of an architecture's builder; None where it has none, or
    lies elsewhere."""
    architecture = catalogue().architectures.get(name)
    written = None if architecture is None else written_at(architecture.build)
    if written is None:
        return None
    path = Path(written[0]).resolve()
    return (path.relative_to(Path.cwd()).as_posix(), written[1]) if path.is_relative_to(Path.cwd()) else None
