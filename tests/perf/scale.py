"""What a large store costs to read and to report on: `python -m tests.perf.scale --trials 100000 --cells 1000`.

Prints seconds, CPU seconds and peak memory of every stage. It judges nothing.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeVar

from tabulate import tabulate

from bench.plan.catalogue import catalogue, use
from bench.plan.designs import factorial
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts, make_tables
from bench.report.show.write import write_report
from bench.run.networks import network_today
from tests.perf.rows import DATASET, many_models, write_many_rows

FACTORS = catalogue().factors

T = TypeVar("T")
_MARGIN = 0.0005


class Stages:
    """Times stages of this process and takes the high-water mark of its memory in each."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, float, float]] = []

    def measure(self, name: str, work: Callable[[], T]) -> T:
        """What `work` returns; its figures become a row."""
        _forget_peak()
        start, cpu = perf_counter(), process_time()
        result = work()
        self.rows.append((name, perf_counter() - start, process_time() - cpu, peak_megabytes()))
        print(f"  {name}: {self.rows[-1][1]:.1f} s", file=sys.stderr, flush=True)
        return result

    def measure_command(self, arguments: list[str], cells: int) -> str:
        """What a command of the harness prints in a process of its own; start and imports count. To be called before
        this process has grown: Linux lets a child begin with its parent's peak. Raises RuntimeError if it fails."""
        code = (
            "import sys; from bench.plan.catalogue import use; from tests.perf.rows import many_models; "
            f"use(many_models({cells})); "
            f"from bench.cli import run_command_line; sys.exit(run_command_line({arguments!r}))"
        )
        # Only copies of models have to be registered first: without them it is the command that a user gives.
        command = ["-c", code] if "copy1" in catalogue().architectures else ["-m", "bench", *arguments]
        start = perf_counter()
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout as output:
            printed = output.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"bench {' '.join(arguments)} ended with {process.returncode}")
        cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        self.rows.append((f"bench {arguments[0]}", perf_counter() - start, cpu, peak))
        print(f"  bench {arguments[0]}: {self.rows[-1][1]:.1f} s", file=sys.stderr, flush=True)
        return printed

    def table(self) -> str:
        """The rows as text."""
        headers = ("stage", "seconds", "CPU seconds", "peak MB")
        return tabulate(self.rows, headers=headers, floatfmt=("", ".2f", ".2f", ".0f"))


def main(arguments: list[str]) -> None:
    """Writes the rows, unless the folder has some, and measures every stage of a report on them."""
    options = _options(arguments)
    use(many_models(options.cells))
    models = list(catalogue().architectures)
    cells = len(list(factorial(models, FACTORS)))
    seeds = max(1, options.trials // cells)
    with _folder(options.folder) as folder:
        results = folder / "results" / DATASET
        if not results.exists():
            # In a process of its own: what it takes to make the rows is no stage's.
            with get_context("spawn").Pool(1) as pool:
                pool.apply(_write, (results, cells, seeds, options.images))
        sizes = [(path.name, path.stat().st_size / 1e6) for path in sorted(results.glob("*.csv"))]
        print(tabulate(sizes, headers=("file", "MB"), floatfmt=".1f"))
        print()
        stages = Stages()
        _measure_commands(stages, folder, models, cells, seeds)
        _measure(stages, results, folder / "reports" / DATASET)
        print(stages.table())


def _measure_commands(stages: Stages, folder: Path, models: list[str], cells: int, seeds: int) -> None:
    """Raises RuntimeError unless every trial of the plan is recorded: a run must have nothing to do."""
    places = ["--results", str(folder / "results"), "--reports", str(folder / "reports")]
    plan = ["--models", ",".join(models), "--design", "factorial", "--seeds", str(seeds)]
    plan += ["--dataset", DATASET, "--precision", "fp32", "--optimizer", "sgd"]
    status = stages.measure_command(["status", *plan, *places[:2]], cells)
    done = sum(map(int, re.findall(r"(\d+)(?: +\d+){4}$", status, re.MULTILINE)))
    if done != cells * seeds:
        raise RuntimeError(f"only {done} of {cells * seeds} trials are done:\n{status}")
    stages.measure_command(["run", *plan, *places, "--no-timing", "--no-report"], cells)
    stages.measure_command(["report", *places], cells)


def peak_megabytes() -> float:
    """The high-water mark of this process's memory since it was last forgotten."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def _measure(stages: Stages, results: Path, report: Path) -> None:
    store = Store(results)
    for kind in ("trials", "epochs", "correct", "confusion", "timings"):
        stages.measure(f"read {kind}", getattr(store, kind))
    evidence = stages.measure("gather", lambda: gather(store, DATASET, networks=network_today))
    analysis = stages.measure("analyse", lambda: Report(evidence, _MARGIN))
    stages.measure("tables", lambda: [(t.markdown(), t.csv(), t.latex()) for t in make_tables(analysis)])
    stages.measure("charts", lambda: _draw(analysis))
    stages.measure(
        "charts, tables and pages, written", lambda: write_report(analysis, report, "python -m tests.perf.scale")
    )


def _draw(analysis: Report) -> None:
    for chart in draw_charts(analysis):
        chart.figure.clear()


def _write(folder: Path, cells: int, seeds: int, images: int) -> None:
    use(many_models(cells))
    write_many_rows(folder, cells, seeds, images)


def _forget_peak() -> None:
    """Linux forgets the high-water mark when a 5 is written here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("  peaks are since the start: /proc/self/clear_refs can't be written", file=sys.stderr)


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--images", type=int, default=10_000, help="test images")
    parser.add_argument("--folder", type=Path, help="keeps rows and report here; rows that are there are used again")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1:])
