"""What was asked of a study, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.plan.cells import Cell


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked. `said` is what holds, in a few words; `wrong` says line by line what doesn't, `notes`
    what may be as meant. With `skipped` it wasn't asked, and `said` is why."""

    name: str
    said: str
    wrong: Sequence[str] = ()
    notes: Sequence[str] = ()
    skipped: bool = False

    @property
    def verdict(self) -> str:
        """ok, FAIL, or a dash for what wasn't asked."""
        return "FAIL" if self.wrong else "-" if self.skipped else "ok"


def by_message(problems: Iterable[tuple[Cell, str]]) -> list[str]:
    """Each problem once, in the order of their first cells, with how many more cells have it."""
    counts: dict[str, int] = {}
    for _, message in problems:
        counts[message] = counts.get(message, 0) + 1
    return [message if count == 1 else f"{message} ({_more(count - 1)})" for message, count in counts.items()]


def rendered(checks: Mapping[str, Check] | Iterable[Check]) -> str:
    """The checks as people read them: a line each, and under it a line for each thing that is wrong."""
    found = checks.values() if isinstance(checks, Mapping) else checks
    lines: list[str] = []
    for check in found:
        lines.append(f"{check.verdict:<4}  {check.name:<12}  {check.said}".rstrip())
        lines += [f"      {problem}" for problem in check.wrong]
        lines += [f"      note: {note}" for note in check.notes]
    return "\n".join(lines)


def _more(count: int) -> str:
    return f"and {count} more cell{'' if count == 1 else 's'}"
