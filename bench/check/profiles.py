"""Where a slower workload spends its time: profiles of both trees, compared function by function."""

import pstats
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.check.arms import Subject, Workloads, measure
from bench.check.trees import Tree

MOST_FUNCTIONS = 5


@dataclass(frozen=True, slots=True)
class Function:
    """A function, and how many seconds more of its own it takes in this tree in one round. What is written in C counts
    for each function that calls it. `file` is relative to the tree, where it lies in one."""

    name: str
    file: str
    line: int
    seconds: float
    in_tree: bool

    def __str__(self) -> str:
        place = f" ({self.file}:{self.line})" if self.file else ""
        return f"{self.name}{place} {1000 * self.seconds:+.3g} ms"


# A function's name and file, and whether the file lies in a tree.
_Key = tuple[str, str, bool]


def slower_functions(subject: Subject, test: str) -> list[Function]:
    """The functions whose own time grew most from the base to this tree, the first most; none where a profile fails."""
    base, _ = _profile(subject, subject.base, test)
    head, lines = _profile(subject, subject.head, test)
    if not base or not head:
        return []
    grown = {key: head[key] - base.get(key, 0.0) for key in head}
    top = sorted(grown, key=lambda key: -grown[key])[:MOST_FUNCTIONS]
    return [Function(key[0], key[1], lines[key], grown[key], key[2]) for key in top if grown[key] > 0]


def _profile(subject: Subject, tree: Tree, test: str) -> tuple[dict[_Key, float], dict[_Key, int]]:
    """Own seconds by function, and the line where each begins (or, of one written in C, its caller)."""
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        measure(subject, tree, Workloads(names=[test]), profiles=Path(folder))
        files = sorted(Path(folder).glob("*.prof"))
        own = [file for file in files if "calibration" not in file.name]
        # Of a workload that starts a process, it is that one's profile that says something.
        started = [file for file in own if file.name.endswith("-process.prof")]
        seconds: dict[_Key, float] = defaultdict(float)
        lines: dict[_Key, int] = {}
        for file in started or own:
            for key, line, own_time in _entries(file, tree):
                seconds[key] += own_time
                lines.setdefault(key, line)
    return dict(seconds), lines


def _entries(file: Path, tree: Tree) -> Iterator[tuple[_Key, int, float]]:
    stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # it has no other door
    for (path, line, name), (_, _, own, _, callers) in stats.items():
        if path == "~" and callers:
            for (caller_path, caller_line, caller), (_, _, share, _) in callers.items():
                where, inside = _relative(caller_path, tree)
                yield (f"{_plain(name)} in {caller}", where, inside), caller_line, share
        else:
            where, inside = _relative(path, tree)
            yield (_plain(name), where, inside), line, own


def _relative(path: str, tree: Tree) -> tuple[str, bool]:
    if path == "~":
        return "", False
    for root in (tree.root, tree.package):
        if Path(path).is_relative_to(root):
            return Path(path).relative_to(root).as_posix(), root == tree.root
    # Of a library the last two parts say enough, and are the same for both trees.
    return "/".join(Path(path).parts[-2:]), False


def _plain(name: str) -> str:
    """`<method 'sub' of ...>` and `<built-in method __new__ of type object at 0x7f>` by the
    name alone."""
    if not name.startswith("<"):
        return name
    if "'" in name:
        return name.split("'")[1]
    return name.strip("<>").partition(" of ")[0].rpartition(" ")[2]
