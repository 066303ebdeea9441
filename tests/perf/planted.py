"""What the gate sees: `python -m tests.perf.planted` plants slower code, and more memory, in a copy of this tree and
checks it against another copy, twenty times each, and checks two unchanged copies forty times.

Each check's verdict is a row of results/baseline/planted.csv as soon as it is there, so that a run that was stopped
goes on; remove the file to measure anew. Prints for each plant how large it is, in how many tries `bench check speed`
was red on the workload concerned, and in how many checks of unchanged copies; `--table` prints that of the rows alone.
It judges nothing.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from bench.check.speed import Timing, check_speed
from bench.check.subject import make_subject
from bench.check.trees import PACKAGES, Tree, copied, this_tree
from bench.check.verdict import CheckRow, Verdict
from bench.errors import BenchError
from bench.record.machine import this_machine

ROWS = Path(__file__).parents[2] / "results" / "baseline" / "planted.csv"
TRIES = 20
UNCHANGED = "nothing"


@dataclass(frozen=True, slots=True)
class Plant:
    """A text of a file that becomes another one: `what` it makes slower, in words, and the `workload` that shows it."""

    what: str
    workload: str
    file: str
    old: str
    new: str


PLANTS = (
    Plant(
        "a second backward pass in each training step",
        "test_training and model1",
        "bench/train/single.py",
        "        loss.backward()\n",
        "        loss.backward(retain_graph=True)\n        loss.backward()\n",
    ),
    Plant(
        "a forward pass of half a batch more in each step",
        "test_training and model1",
        "bench/train/single.py",
        "        loss.backward()\n",
        "        loss.backward()\n        self.network(self.prepare(images[:32]))\n",
    ),
    Plant(
        "test images are measured twice",
        "test_measuring and model1",
        "bench/train/single.py",
        "        return [(predicted[:, 0], float(losses[0]))]\n",
        "        evaluate(self._weights.exact, self.data.held_out, self.prepare)\n"
        "        return [(predicted[:, 0], float(losses[0]))]\n",
    ),
    Plant(
        "files of images are read and checked twice",
        "test_data_loading",
        "bench/sources/idx.py",
        "    at = [str(path) for path in paths]\n",
        "    arrays = [_read(path, 'labels' if number % 2 else 'images') for number, path in enumerate(paths)]\n"
        "    at = [str(path) for path in paths]\n",
    ),
    Plant(
        "the command line imports numpy before it is needed",
        "test_start_of_the_command_line",
        "bench/cli.py",
        "import gc\n",
        "import gc\n\nimport numpy  # noqa: F401\n",
    ),
    Plant(
        "100 MB more in a training process",
        "test_memory_of_training",
        "bench/train/single.py",
        "        self.trial = trial\n",
        "        self.trial = trial\n        self._more = torch.ones(25_000_000)\n",
    ),
)


def main() -> None:
    """Measures what the rows don't have yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the table of the rows that are there")
    if not parser.parse_args().table:
        for _ in range(TRIES):
            for plant in (None, None, *PLANTS):
                _try_once(plant)
    print(table(pd.read_csv(ROWS)))


def table(rows: pd.DataFrame) -> str:
    """A line a plant: its median size, and how many of the checks were red with it and without it."""
    unchanged = rows[rows["planted"] == UNCHANGED]
    lines = []
    for plant in PLANTS:
        tries = rows[rows["planted"] == plant.what]
        without = unchanged[unchanged["workload"].isin(tries["workload"])]
        size = f"{tries['change'].median():+.0%}".replace("%", " %")
        lines.append([plant.what, size, _red(tries), _red(without)])
    headers = ("planted", "size", "caught", "false alarms without it")
    return tabulate(lines, headers, tablefmt="pipe", disable_numparse=True)


def _red(rows: pd.DataFrame) -> str:
    return f"{(rows['verdict'] == Verdict.FAIL).sum()} of {len(rows)}"


def _try_once(plant: Plant | None) -> None:
    """Checks a tree with the plant, or without any all workloads, unless the rows have as many checks as they need."""
    what, most = (UNCHANGED, 2 * TRIES) if plant is None else (plant.what, TRIES)
    done = pd.read_csv(ROWS) if ROWS.exists() else pd.DataFrame({"planted": [], "check": []})
    number = done.loc[done["planted"] == what, "check"].nunique()
    if number >= most:
        return
    workloads = " or ".join(f"({one.workload})" for one in PLANTS) if plant is None else plant.workload
    with _planted(plant) as head, copied(this_tree()) as base:
        subject = make_subject(base, head, None, None, Path("results"), Path("data"))
        checked = check_speed(subject, Timing(only=workloads), lambda: None)
    rows = pd.DataFrame([_row(what, number, row) for row in checked])
    rows.to_csv(ROWS, mode="a", header=not ROWS.exists(), index=False)
    for row in checked:
        print(f"{what}, {number + 1} of {most}: {row.name}: {row.message}", file=sys.stderr, flush=True)


def _row(what: str, number: int, row: CheckRow) -> dict[str, object]:
    machine = this_machine()
    interval = row.interval
    return {
        "planted": what,
        "check": number,
        "workload": row.name,
        "verdict": row.verdict.value,
        "change": None if interval is None else interval.change,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "cpu": machine.cpu,
        "cores": machine.cores,
    }


@contextmanager
def _planted(plant: Plant | None) -> Iterator[Tree]:
    """A copy of this tree with the plant in it."""
    with tempfile.TemporaryDirectory(prefix="bench-planted-") as folder:
        root = Path(folder).resolve() / "head"
        for package in PACKAGES:
            shutil.copytree(this_tree().root / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        if plant is not None:
            source = (root / plant.file).read_text(encoding="utf-8")
            if plant.old not in source:
                raise BenchError(f"{plant.file} no longer has the line where {plant.what!r} is planted")
            (root / plant.file).write_text(source.replace(plant.old, plant.new), encoding="utf-8")
        yield Tree("the planted tree", root, root)


if __name__ == "__main__":
    main()
