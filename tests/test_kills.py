"""What a command rewrites is whole after a kill at any moment, and the same command then does its work.

A process is killed by itself, at the n-th time that it opens a file to write it, renames or removes one, or in the
midst of a write, at so many bytes: the same moments every time. It takes minutes: `pytest -m slow tests/test_kills.py`.
"""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from bench.check.baseline import read_baseline, write_baseline
from bench.check.exact import measure_networks
from bench.cli import run_command_line
from bench.plan.catalogue import catalogue
from bench.plan.cells import preset_cell
from bench.plan.designs import toggles
from bench.record.schema import ExactRow
from bench.record.store import Store
from bench.report.report import Report
from bench.report.sections import draw_charts
from bench.report.show import write
from bench.report.show.chart import Chart
from bench.run.runner import TIMING_ROUNDS
from tests.synthetic import write_rows
from tests.test_crash import forked

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")]

# Of all changes of files, at so many a process is killed.
WANTED = 40

FACTORS = catalogue().factors

# What is done to files, and which of its arguments are paths.
EVENTS = {"open": 1, "os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.truncate": 1}


@dataclass(frozen=True)
class Moment:
    """The `event`-th change of a file under a folder, or a write that makes a file longer than `size`."""

    event: int | None = None
    size: int | None = None


def run_until(arguments: Sequence[str], folder: Path, moment: Moment, counted: Path) -> None:
    """Runs the command in this process, which kills itself at the moment. How many changes there were is written to
    `counted` when it ends before."""
    vars(write)["draw_charts"] = two_charts  # all of them take seconds
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    events = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal events
        if event in EVENTS and changes(event, arguments, folder):
            events += 1
            if events == moment.event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    if moment.size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (moment.size, resource.RLIM_INFINITY))
    code = run_command_line(arguments)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    counted.write_text(str(events))
    sys.exit(code)


def two_charts(analysis: Report) -> Iterator[Chart]:
    return islice(draw_charts(analysis), 2)


def changes(event: str, arguments: tuple[Any, ...], folder: Path) -> bool:
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return False
    paths = [path for path in arguments[: EVENTS[event]] if isinstance(path, str | bytes)]
    return any(Path(os.fsdecode(path)).is_relative_to(folder) for path in paths)


def run_apart(arguments: Sequence[str], folder: Path, moment: Moment) -> tuple[int | None, int]:
    """The exit code of the command in a process of its own, and how often it changed a file if it ended by itself."""
    counted = folder.with_name("counted")
    counted.write_text("0")
    process = forked(run_until, (arguments, folder, moment, counted))
    process.join()
    return process.exitcode, int(counted.read_text())


def files(folder: Path) -> dict[str, bytes]:
    """What is in the folder, without what a killed process was about to write."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def moments(events: int, sizes: Sequence[int]) -> Iterator[Moment]:
    """So many, evenly spread over all changes; then those within writes."""
    numbers = {1 + (3 * place + 2) * events // (3 * WANTED) for place in range(WANTED)}
    yield from (Moment(event=number) for number in sorted(numbers) if number <= events)
    yield from (Moment(size=size) for size in sizes)


def require_whole_files(arguments: Sequence[str], folder: Path, sizes: Sequence[int]) -> None:
    """Kills the command at moments; each file is the older or the newer one, and there if both have it. The command
    then makes the newer ones."""
    old = files(folder)
    before = folder.with_name("before")
    shutil.copytree(folder, before)
    code, events = run_apart(arguments, folder, Moment())
    assert code == 0
    new = files(folder)
    assert old.keys() & new.keys()
    assert any(old[name] != new[name] for name in old.keys() & new.keys())
    for moment in moments(events, sizes):
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        code, _ = run_apart(arguments, folder, moment)
        assert code == -(signal.SIGKILL if moment.event else signal.SIGXFSZ), moment
        left = files(folder)
        assert old.keys() & new.keys() <= left.keys(), moment
        assert all(content in {old.get(name), new.get(name)} for name, content in left.items()), moment
        assert run_apart(arguments, folder, Moment())[0] == 0, moment
        assert files(folder) == new, moment


def test_a_report(tmp_path: Path) -> None:
    results, reports = tmp_path / "results", tmp_path / "reports"
    cells = [preset_cell("model1"), preset_cell("model3")]
    arguments = ["report", "--results", str(results), "--reports", str(reports)]
    write_rows(results / "digits", cells, seeds=2, images=1000, dataset="digits")
    assert run_apart(arguments, reports, Moment())[0] == 0
    shutil.rmtree(results)
    write_rows(results / "digits", cells, seeds=3, images=1000, dataset="digits")
    require_whole_files(arguments, reports, [20_000, 10])


def test_a_readme(tmp_path: Path) -> None:
    results, folder = tmp_path / "results", tmp_path / "repository"
    folder.mkdir()
    write_rows(results / "digits", list(toggles(["model1"], FACTORS)), seeds=2, images=1000, dataset="digits")
    text = "By hand.\n" * 100
    (folder / "README.md").write_text(f"{text}<!-- bench: digits effects -->\n<!-- bench: end -->\n{text}")
    arguments = ["readme", "--file", str(folder / "README.md"), "--results", str(results)]
    require_whole_files(arguments, folder, [2000])


def test_a_baseline(tmp_path: Path) -> None:
    results = tmp_path / "results"
    rows = measure_networks((1, 28, 28), 10)
    write_baseline(results, ExactRow, [replace(row, macs=row.macs + 1) for row in rows[1:]])
    arguments = ["check", "exact", "--update", "--dataset", "digits", "--results", str(results)]
    require_whole_files(arguments, results, [2000])
    assert read_baseline(results, ExactRow) == rows


def test_the_timing_of_networks(tmp_path: Path) -> None:
    """Rows of trials stay as they are, and what was timed is timed again unless every round of it is there."""
    results, before = tmp_path / "results", tmp_path / "before"
    options = "--models model3 --design presets --seeds 1 --epochs 1 --dataset digits --workers 0 --no-report"
    arguments = ["run", *options.split(), "--results", str(results)]
    assert run_apart([*arguments, "--no-timing"], results, Moment())[0] == 0
    shutil.copytree(results, before)
    old = files(results)
    code, events = run_apart(arguments, results, Moment())
    assert code == 0
    header, first, second, *_ = (results / "digits" / "timings.csv").read_bytes().splitlines(keepends=True)
    for moment in (*moments(events, []), None):
        shutil.rmtree(results)
        shutil.copytree(before, results)
        if moment is None:  # what a kill in the midst of the write leaves
            (results / "digits" / "timings.csv").write_bytes(header + first + second[:-5])
        else:
            code, _ = run_apart(arguments, results, moment)
            assert code == -signal.SIGKILL, moment
            assert files(results).items() >= old.items(), moment
        assert run_apart(arguments, results, Moment())[0] == 0, moment
        assert files(results).items() >= old.items(), moment
        rows = Store(results / "digits").timings()
        assert len(rows[rows["run"] == rows["run"].iloc[-1]]) == 3 * TIMING_ROUNDS, moment
