"""What the gate sees: `python -m tests.perf.planted` plants slower code, and more memory, in copies of this tree and
checks each against an unchanged copy twenty times, and two unchanged copies forty times, on Linux a check on each core.

A copy has one plant for a workload, as many as it has workloads. Each verdict is a row of results/baseline/planted.csv
as soon as it is there, so that a run that was stopped goes on; remove the file to measure anew. Prints for each plant
how large it is, how often `bench check speed` was red on its workload, and how often without it; `--table` prints that
of the rows alone. It judges nothing.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pandas as pd
from tabulate import tabulate

from bench.check.arms import Workloads, measure_pairs
from bench.check.speed import PAIRS, TOLERANCE, compare_trees
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
    """A text of a file that becomes another one: `what` it makes slower, in words, and the `workload` that shows it, as
    the check calls it."""

    what: str
    workload: str
    file: str
    old: str
    new: str


Plants = tuple[Plant, ...]

PLANTS: Plants = (
    Plant(
        "a second backward pass in each training step",
        "training model1",
        "bench/train/single.py",
        "        loss.backward()\n",
        "        loss.backward(retain_graph=True)\n        loss.backward()\n",
    ),
    Plant(
        "a forward pass of half a batch more in each step",
        "training model1",
        "bench/train/single.py",
        "        loss.backward()\n",
        "        loss.backward()\n        self.network(self.prepare(images[:32]))\n",
    ),
    Plant(
        "test images are measured twice",
        "measuring model1",
        "bench/train/single.py",
        "        return [(predicted[:, 0], float(losses[0]))]\n",
        "        evaluate(self._weights.exact, self.data.held_out, self.prepare)\n"
        "        return [(predicted[:, 0], float(losses[0]))]\n",
    ),
    Plant(
        "files of images are read and checked twice",
        "data loading",
        "bench/sources/idx.py",
        "    at = [str(path) for path in paths]\n",
        "    arrays = [_read(path, 'labels' if number % 2 else 'images') for number, path in enumerate(paths)]\n"
        "    at = [str(path) for path in paths]\n",
    ),
    Plant(
        "the command line imports numpy before it is needed",
        "start of the command line",
        "bench/cli.py",
        "import gc\n",
        "import gc\n\nimport numpy  # noqa: F401\n",
    ),
    Plant(
        "100 MB more in a training process",
        "memory of training",
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
        with ExitStack() as trees:
            base = trees.enter_context(copied(this_tree()))
            heads = {plants: trees.enter_context(_planted(plants)) for plants in ((), *_apart())}
            _measure(base, heads)
    print(table(pd.read_csv(ROWS)))


def _measure(base: Tree, heads: Mapping[Plants, Tree]) -> None:
    """Checks the trees until the rows have as many checks of each as they need, a check on each core."""
    machine, cores = this_machine(), SimpleQueue[int]()
    for core in os.sched_getaffinity(0):
        cores.put(core)
    with ThreadPoolExecutor(cores.qsize(), initializer=lambda: os.sched_setaffinity(0, {cores.get()})) as threads:
        checks = [threads.submit(_check, plants, number, base, heads[plants]) for plants, number in _missing(heads)]
        try:
            for check in as_completed(checks):
                rows = check.result().assign(cpu=machine.cpu, cores=machine.cores)
                rows.to_csv(ROWS, mode="a", header=not ROWS.exists(), index=False)
        finally:
            threads.shutdown(cancel_futures=True)


def _missing(heads: Iterable[Plants]) -> list[tuple[Plants, int]]:
    """The checks that the rows don't have, so ordered that a run which is stopped has some of each."""
    done = pd.read_csv(ROWS) if ROWS.exists() else pd.DataFrame({"planted": [], "check": []})
    there = set(zip(done["planted"], done["check"], strict=True))
    wanted = [(plants, number) for number in range(2 * TRIES) for plants in heads if not plants or number < TRIES]
    wanted.sort(key=lambda check: check[1] if check[0] else check[1] / 2)
    return [(plants, number) for plants, number in wanted if (_whats(plants)[0], number) not in there]


def _whats(plants: Plants) -> list[str]:
    return [plant.what for plant in plants] or [UNCHANGED]


def table(rows: pd.DataFrame) -> str:
    """A line a plant: its median size, and how many of the checks were red with it and without it."""
    lines = []
    for plant in PLANTS:
        tries = rows[rows["planted"] == plant.what]
        without = rows[(rows["planted"] == UNCHANGED) & (rows["workload"] == plant.workload)]
        size = f"{tries['change'].median():+.0%}".replace("%", " %")
        lines.append([plant.what, size, _red(tries), _red(without)])
    headers = ("planted", "size", "caught", "false alarms without it")
    return tabulate(lines, headers, tablefmt="pipe", disable_numparse=True)


def _red(rows: pd.DataFrame) -> str:
    return f"{(rows['verdict'] == Verdict.FAIL).sum()} of {len(rows)}"


def _apart() -> list[Plants]:
    """The plants, those of the same workload in different groups."""
    groups: list[Plants] = []
    for plant in PLANTS:
        place = next((n for n, group in enumerate(groups) if plant.workload not in {p.workload for p in group}), None)
        if place is None:
            groups.append((plant,))
        else:
            groups[place] += (plant,)
    return groups


def _check(plants: Plants, number: int, base: Tree, head: Tree) -> pd.DataFrame:
    """A row for each workload of one check of the tree with these plants, or without any. As `bench check speed` does
    it, but that a red isn't profiled."""
    whats = {plant.workload: plant.what for plant in plants} or {plant.workload: UNCHANGED for plant in PLANTS}
    subject = make_subject(base, head, None, None, Path("results"), Path("data"))
    chosen = Workloads(" or ".join(map(_chosen, whats)))
    checked = compare_trees(lambda some: measure_pairs(subject, some, PAIRS, lambda: None), chosen, TOLERANCE)
    for row in checked:
        print(f"check {number + 1}, {row.name}, {whats[row.name]}: {row.message}", file=sys.stderr, flush=True)
    return pd.DataFrame([_row(whats[row.name], number, row) for row in checked])


def _chosen(workload: str) -> str:
    """A workload as `pytest -k` chooses it."""
    test, bracket, model = workload.partition(" model")
    return f"(test_{test.replace(' ', '_')}{f' and model{model}' if bracket else ''})"


def _row(what: str, number: int, row: CheckRow) -> dict[str, object]:
    interval = row.interval
    return {
        "planted": what,
        "check": number,
        "workload": row.name,
        "verdict": row.verdict.value,
        "change": None if interval is None else interval.change,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
    }


@contextmanager
def _planted(plants: Plants) -> Iterator[Tree]:
    """A copy of this tree with the plants in it."""
    with tempfile.TemporaryDirectory(prefix="bench-planted-") as folder:
        root = Path(folder).resolve() / "head"
        for package in PACKAGES:
            shutil.copytree(this_tree().root / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        for plant in plants:
            source = (root / plant.file).read_text(encoding="utf-8")
            if plant.old not in source:
                raise BenchError(f"{plant.file} no longer has the line where {plant.what!r} is planted")
            (root / plant.file).write_text(source.replace(plant.old, plant.new), encoding="utf-8")
        yield Tree("the planted tree", root, root)


if __name__ == "__main__":
    main()
