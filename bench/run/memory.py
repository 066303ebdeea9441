"""How much memory a process takes. Linux tells it in /proc; elsewhere it isn't known."""

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process held at its peak, in bytes.

    `own` is its alone, and `added` is how much of that came since `forget_peak`. `shared` are pages of files and of
    shared memory (libraries, the data set), which all processes that do the same map.
    """

    own: int
    added: int
    shared: int

    def of_processes(self, count: int) -> int:
        """What so many such processes take together: what they share counts once."""
        return count * self.own + self.shared


def forget_peak() -> int | None:
    """Gives what was freed back to the system and lets the process's peak begin anew. Returns its own memory in bytes,
    None where the system doesn't tell."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _own([])
    except (OSError, AttributeError, TypeError, KeyError):  # no glibc, no Linux, or a /proc without these
        return None


def peak_memory(before: int | None, helpers: Sequence[int] = ()) -> Memory | None:
    """The peak since `forget_peak`, which returned `before`, with what forked `helpers` (process ids) hold now. None
    where the system doesn't tell.

    A page that a fork left in common counts once. What was freed since the peak was the process's own: pages of files
    and of shared memory stay mapped.
    """
    if before is None:
        return None
    try:
        peak, now = _sizes("self/status", ["VmHWM", "VmRSS"])
        own = _own(helpers) + max(peak - now, 0)
        shared = max(sum(_sizes(f"{process}/status", ["RssFile", "RssShmem"])) for process in ("self", *helpers))
    except (OSError, KeyError):
        return None
    return Memory(own, max(own - before, 0), shared)


def _own(helpers: Sequence[int]) -> int:
    return sum(_sizes(f"{process}/smaps_rollup", ["Pss_Anon"])[0] for process in ("self", *helpers))


def _sizes(file: str, names: Iterable[str]) -> list[int]:
    """Bytes under these names in a file of /proc. Raises OSError, and KeyError for a name that isn't there."""
    lines = (line.split() for line in (Path("/proc") / file).read_text(errors="replace").splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}
    return [sizes[name] for name in names]
