"""Fresh processes, one after the other, each of which times one tree with `driver.py`."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.check.trees import Tree
from bench.errors import BenchError

_DRIVER = Path(__file__).with_name("driver.py")

CALIBRATIONS = ("test_calibration_before", "test_calibration_after")

# A process that takes longer hangs.
_TIMEOUT_SECONDS = 1800

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# What pytest returns when some tests failed (a workload that a tree has no code for) or none were collected.
_MEASURED = (0, 1, 5)


@dataclass(frozen=True, slots=True)
class Workloads:
    """What to time: `expression` is one of `pytest -k`, or `names` lists tests; neither means all."""

    expression: str | None = None
    names: Sequence[str] = ()

    def arguments(self, file: str) -> list[str]:
        """As pytest takes it. The calibration is always there."""
        if self.names:
            first, last = CALIBRATIONS
            return [f"{file}::{name}" for name in (first, *self.names, last)]
        return [file, *(["-k", f"calibration or ({self.expression})"] if self.expression else [])]


@dataclass(frozen=True, slots=True)
class Pair:
    """The seconds of every round of both trees' processes, by test. `swapped` pairs began with head."""

    swapped: bool
    base: Mapping[str, Sequence[float]]
    head: Mapping[str, Sequence[float]]


class WrongImportError(BenchError):
    """A process timed another tree than it was to."""

    exit_code = 4


def measure_pairs(
    base: Tree, head: Tree, workloads: Workloads, pairs: int, rows: Path, tick: Callable[[], None]
) -> list[Pair]:
    """Times both trees `pairs` times: AB, BA, AB, ... so that a drift of the machine hits both alike.

    `rows` is a folder of rows to read and report on. Calls `tick` after each process. Raises WrongImportError, and
    BenchError where pytest-benchmark isn't installed or a process can't measure at all.
    """
    for module in ("pytest", "pytest_benchmark"):
        if find_spec(module) is None:
            raise BenchError(f"times are taken with pytest-benchmark, and there is no {module}: pip install -e .[test]")
    measured = []
    for number in range(pairs):
        swapped = number % 2 == 1
        samples = {}
        for tree in (head, base) if swapped else (base, head):
            samples[tree.root] = _measure(tree, workloads, rows)
            tick()
        measured.append(Pair(swapped, samples[base.root], samples[head.root]))
    return measured


def medians(pairs: Sequence[Pair], name: str) -> tuple[list[float], list[float]]:
    """A test's median seconds in base and head, of the pairs in which both ran it."""
    both = [pair for pair in pairs if name in pair.base and name in pair.head]
    return [statistics.median(pair.base[name]) for pair in both], [statistics.median(pair.head[name]) for pair in both]


def _measure(tree: Tree, workloads: Workloads, rows: Path) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        shutil.copy(_DRIVER, Path(folder) / "test_speed.py")
        (Path(folder) / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        output = Path(folder) / "times.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-only"]
        command += ["--benchmark-disable-gc", f"--benchmark-json={output}", *workloads.arguments("test_speed.py")]
        environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
        environment |= {"PYTHONPATH": str(tree.root), "BENCH_CHECK_ROWS": str(rows)}
        # Whoever calls this may be a test of their own, and then these would reach into ours.
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
        try:
            done = subprocess.run(  # noqa: S603  # no shell
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"timing {tree.name} takes more than {_TIMEOUT_SECONDS} seconds") from None
        if done.returncode not in _MEASURED or not output.exists() or not output.stat().st_size:
            return {}
        return _samples(json.loads(output.read_text(encoding="utf-8")), tree)


def _samples(report: Mapping[str, Any], tree: Tree) -> dict[str, list[float]]:
    """The rounds' seconds by test. Raises WrongImportError where a test's code wasn't all the tree's."""
    samples = {}
    for benchmark in report["benchmarks"]:
        for file in benchmark["extra_info"]["imported"]:
            if not Path(file).resolve().is_relative_to(tree.root):
                raise WrongImportError(f"the process that was to time {tree.name} imported {file}")
        samples[benchmark["name"]] = benchmark["stats"]["data"]
    return samples
