"""The rows for people and machines: table, Markdown, JSON, JUnit, GitHub's annotations. Nothing is decided here."""

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as ET

from tabulate import tabulate

from bench.check.verdict import CheckRow, ExitCode, Kind, Verdict
from bench.record.machine import this_machine
from bench.record.reading import WriteError
from bench.record.replacing import replace_text
from bench.report.show.words import markdown_text

SCHEMA = 1

# GitHub shows ten annotations of a step and drops the others.
MOST_ANNOTATIONS = 10

# Rows that nobody has to look at are counted, not shown, where there are more than this of a kind.
_MOST_PASSED = 15

_WORST_FIRST = (Verdict.FAIL, Verdict.MISSING, Verdict.INCONCLUSIVE, Verdict.NEW, Verdict.PASS)

_HEADERS = ("verdict", "check", "baseline", "here", "what it says")


def table(rows: Sequence[CheckRow]) -> str:
    """For a terminal, the worst rows first."""
    widths = [None, 40, None, None, 90]
    return tabulate(_lines(rows), _HEADERS, disable_numparse=True, maxcolwidths=widths) + "\n" + _hidden(rows)


def markdown(rows: Sequence[CheckRow], notes: Sequence[str], code: ExitCode) -> str:
    """A section as GitHub draws it."""
    lines = [[markdown_text(text) for text in line] for line in _lines(rows)]
    parts = [
        f"## bench check: {summary(rows, code)}",
        tabulate(lines, _HEADERS, tablefmt="pipe", disable_numparse=True),
        _hidden(rows),
        "\n".join(f"- {markdown_text(note)}" for note in notes),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def summary(rows: Sequence[CheckRow], code: ExitCode) -> str:
    """The result in a line."""
    counts = Counter(row.verdict for row in rows)
    counted = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _WORST_FIRST if counts[verdict]) or "no rows"
    words = {
        ExitCode.PASS: "no regression",
        ExitCode.REGRESSION: "regression",
        ExitCode.NOTHING_MEASURED: "not everything was measured",
    }
    return f"{words[code]} ({counted})"


def annotations(rows: Sequence[CheckRow]) -> list[str]:
    """GitHub's error lines for what failed, then for what is missing; at most ten."""
    bad = [row for verdict in (Verdict.FAIL, Verdict.MISSING) for row in rows if row.verdict is verdict]
    shown = bad if len(bad) <= MOST_ANNOTATIONS else bad[: MOST_ANNOTATIONS - 1]
    lines = [f"::error title={_property(f'{row.kind} {row.name}')}::{_escaped(_sentence(row))}" for row in shown]
    more = len(bad) - len(shown)
    return [*lines, f"::error title=bench check::and {more} rows more"] if more else lines


def write_step_summary(text: str) -> None:
    """Adds Markdown to the page of GitHub's workflow run, where there is one. Raises WriteError."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        _write(Path(path), text, append=True)


def write_json(path: Path, rows: Sequence[CheckRow], notes: Sequence[str], code: ExitCode) -> None:
    """Everything, raw samples in seconds and fractions included. Raises WriteError."""
    content = {
        "schema": SCHEMA,
        "exit_code": int(code),
        "machine": asdict(this_machine()),
        "notes": list(notes),
        "rows": [_finite(asdict(row)) for row in rows],
    }
    _write(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_junit(path: Path, rows: Sequence[CheckRow]) -> None:
    """One case per row: fail is a failure, missing an error, inconclusive and new are skipped. Raises WriteError."""
    counts = Counter(row.verdict for row in rows)
    suite = ET.Element(
        "testsuite",
        name="bench check",
        tests=str(len(rows)),
        failures=str(counts[Verdict.FAIL]),
        errors=str(counts[Verdict.MISSING]),
        skipped=str(counts[Verdict.INCONCLUSIVE] + counts[Verdict.NEW]),
    )
    tags = {
        Verdict.FAIL: "failure",
        Verdict.MISSING: "error",
        Verdict.INCONCLUSIVE: "skipped",
        Verdict.NEW: "skipped",
    }
    for row in rows:
        case = ET.SubElement(suite, "testcase", classname=f"bench.check.{row.kind}", name=row.name)
        if row.verdict in tags:
            ET.SubElement(case, tags[row.verdict], message=f"{row.verdict}: {_sentence(row)}")
    _write(path, ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")


def _lines(rows: Sequence[CheckRow]) -> list[list[str]]:
    return [
        [row.verdict, f"{row.kind} {row.name}", row.baseline, row.value, row.message]
        for row in sorted(rows, key=lambda row: _WORST_FIRST.index(row.verdict))
        if not _is_hidden(row, rows)
    ]


def _is_hidden(row: CheckRow, rows: Sequence[CheckRow]) -> bool:
    """Whether it is one of many that pass, unless it is a sure gain in accuracy."""
    if row.kind is Kind.QUALITY and row.interval is not None and row.interval.low > 0:
        return False
    alike = [other for other in rows if other.kind is row.kind and other.verdict is Verdict.PASS]
    return row.verdict is Verdict.PASS and len(alike) > _MOST_PASSED


def _hidden(rows: Sequence[CheckRow]) -> str:
    hidden = Counter(row.kind for row in rows if _is_hidden(row, rows))
    return "\n".join(f"{count} {kind} rows passed and are not shown." for kind, count in hidden.items())


def _sentence(row: CheckRow) -> str:
    change = f"{row.baseline} to {row.value}: " if row.baseline and row.value != row.baseline else ""
    return f"{change}{row.message}"


def _escaped(text: str) -> str:
    """As GitHub's workflow commands want it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _finite(value: object) -> object:
    """JSON has no infinity and no NaN: null stands for what is not known."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _write(path: Path, text: str, *, append: bool = False) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if append:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)
        else:
            replace_text(path, text)
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}") from error
