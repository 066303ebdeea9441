"""What the gate sees: `python -m tests.perf.planted --tries 20 --unchanged 40`.

Plants slower code, and more memory, in a copy of this tree and checks it against another copy. Prints for each plant
how large it is, in how many of the tries `bench check speed` was red on the workload concerned, and in how many checks
of two unchanged copies it was. Each try times only that workload. It judges nothing.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from bench.check.speed import Timing, check_speed
from bench.check.subject import make_subject
from bench.check.trees import PACKAGES, Tree, copied, this_tree
from bench.check.verdict import CheckRow, Verdict
from bench.errors import BenchError


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
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=20, help="checks of each plant")
    parser.add_argument("--unchanged", type=int, default=40, help="checks of each workload without a plant")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--only", default="", help="plants with this word in their description")
    given = parser.parse_args()
    chosen = [plant for plant in PLANTS if given.only in plant.what]
    alarms = {
        workload: _reds(None, workload, given.unchanged, given.pairs)
        for workload in dict.fromkeys(plant.workload for plant in chosen)
    }
    lines = []
    for plant in chosen:
        rows = _reds(plant, plant.workload, given.tries, given.pairs)
        lines.append([plant.what, *_figures(rows), *_figures(alarms[plant.workload])[1:]])
    headers = ("planted", "size", "caught", "false alarms without it")
    print(tabulate(lines, headers, tablefmt="pipe", disable_numparse=True))


def _figures(rows: Sequence[CheckRow]) -> tuple[str, str]:
    """The median change, and how many of the checks that measured something were red."""
    changes = sorted(row.interval.change for row in rows if row.interval is not None)
    if not changes:
        return "not measured", "0 of 0"
    red = sum(row.verdict is Verdict.FAIL for row in rows)
    return f"{changes[len(changes) // 2]:+.0%}".replace("%", " %"), f"{red} of {len(changes)}"


def _reds(plant: Plant | None, workload: str, tries: int, pairs: int) -> list[CheckRow]:
    rows: list[CheckRow] = []
    for number in range(tries):
        with _planted(plant) as head, copied(this_tree()) as base:
            subject = make_subject(base, head, None, None, Path("results"), Path("data"))
            rows += check_speed(subject, Timing(pairs, only=workload), lambda: None)
        words = "unchanged" if plant is None else plant.what
        print(f"  {workload}, {words}: {number + 1} of {tries}: {rows[-1].message}", file=sys.stderr, flush=True)
    return rows


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
