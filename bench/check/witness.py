"""A plugin of pytest's that stands beside what is timed, in the process that times it: it writes down why tests failed,
and which files were imported.

It is copied out of the tree that runs the check, and imports nothing of the harness.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

_LONGEST = 300

_failures: dict[str, str] = {}


def pytest_collectreport(report: Any) -> None:
    """A file that can't be imported: none of its tests runs."""
    if report.failed:
        _failures[report.nodeid] = _last_line(report.longrepr)


def pytest_runtest_logreport(report: Any) -> None:
    """A test that failed, or was skipped."""
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        _failures[report.nodeid] = _shortened(crash.message if crash else str(report.longrepr))
    elif report.skipped and isinstance(report.longrepr, tuple):
        _failures[report.nodeid] = _shortened(str(report.longrepr[-1]))


def pytest_sessionfinish() -> None:
    """Leaves word."""
    files = {
        name: file
        for name, module in list(sys.modules.items())
        if isinstance(file := getattr(module, "__file__", None), str)
    }
    harness = [file for name, file in files.items() if name.partition(".")[0] in {"architectures", "bench"}]
    report = {"failures": _failures, "files": sorted(set(files.values())), "harness": sorted(harness)}
    Path(os.environ["BENCH_CHECK_WITNESS"]).write_text(json.dumps(report), encoding="utf-8")


def _last_line(longrepr: Any) -> str:
    """What pytest shows of an error while it collects ends in the exception."""
    lines = [line.removeprefix("E").strip() for line in str(longrepr).splitlines() if line.startswith("E ")]
    every = str(longrepr).strip().splitlines()
    return _shortened(lines[-1] if lines else every[-1] if every else "")


def _shortened(text: str) -> str:
    """The first line."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
