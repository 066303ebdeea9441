"""A file of what was timed, a line of JSON a check: who was compared with whom, where, and by how much they differ.

A line holds ratios of two trees that were timed in turns on one machine, never a time: so lines of different machines
can stand in one file.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.check.verdict import CheckRow, Kind
from bench.errors import UsageError
from bench.record.machine import this_machine
from bench.record.reading import WriteError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Ratio:
    """The mean log ratio of a commit's time to its base's, the standard error of that, and the number of pairs."""

    log: float
    error: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One check: `commit` was timed against `base`. `ratios` are by workload."""

    commit: str
    base: str
    date: str
    machine: str
    ratios: Mapping[str, Ratio]


def append_entry(path: Path, rows: Sequence[CheckRow], commit: str, date: str, base: str) -> None:
    """Adds a line of the rows that were timed. Raises WriteError."""
    machine = this_machine()
    line = {
        "schema": SCHEMA,
        "commit": commit,
        "base": base,
        "date": date,
        "machine": f"{machine.cpu}, {machine.cores} cores, {machine.os}",
        "rows": {
            row.name: {"log": row.paired[0], "sd": row.paired[1] * math.sqrt(row.paired[2]), "n": row.paired[2]}
            for row in rows
            if row.kind is Kind.SPEED and row.paired is not None and math.isfinite(row.paired[1])
        },
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # After half a line, that of a check which was killed, a new one begins.
        torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(("\n" if torn else "") + json.dumps(line, allow_nan=False) + "\n")
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}") from error


def read_history(path: Path) -> list[Entry]:
    """The lines, in their order. Raises UsageError, which names the first line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"the history {path} can't be read: {reason}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(_entry(json.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
                raise UsageError(f"{path}, line {number} is not what `--history` writes: delete the line") from None
    if not entries:
        raise UsageError(f"the history {path} is empty: `bench check --history {path}` adds to it")
    return entries


def _entry(line: Mapping[str, Any]) -> Entry:
    if line["schema"] != SCHEMA:
        raise ValueError("another schema")
    datetime.fromisoformat(line["date"])
    ratios = {name: _ratio(row["log"], row["sd"], row["n"]) for name, row in line["rows"].items()}
    return Entry(str(line["commit"]), str(line["base"]), str(line["date"]), str(line["machine"]), ratios)


def _ratio(log: float, sd: float, pairs: int) -> Ratio:
    if not (math.isfinite(log) and math.isfinite(sd) and abs(log) < 100 and sd >= 0 and int(pairs) == pairs >= 2):
        raise ValueError("no ratio")
    return Ratio(float(log), float(sd) / math.sqrt(pairs), int(pairs))
