"""Fresh processes, one after the other, each of which times one tree with pytest-benchmark."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.check.measured import CALIBRATIONS, DRIVER, PROCESS, Measured, Pair
from bench.check.trees import Tree
from bench.errors import BenchError, printable

_HERE = Path(__file__).parent

# A process that takes longer hangs.
_TIMEOUT_SECONDS = 1800

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# What pytest returns when some tests failed, when it couldn't collect all of them, or when none were chosen.
_MEASURED = (0, 1, 2, 5)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is timed of both trees: the `study` as FILE.py:NAME in a tree or module:NAME (None: the built-in one), the
    architectures that each has, or the user's own `tests` in a folder of this tree.

    `dataset` is the built-in data set that needs no files, `sample` how many training images it has, of which shape and
    how many classes. `results` is a folder of rows to read and report on; without one some are made.
    """

    base: Tree
    head: Tree
    models: Mapping[Path, Sequence[str]] = field(default_factory=dict)
    study: str | None = None
    tests: Path | None = None
    results: Path | None = None
    data_dir: Path = Path("data")
    dataset: str = ""
    sample: tuple[int, tuple[int, ...], int] | None = None

    def has(self, tree: Tree, test: str) -> bool:
        """Whether the tree is to run a test: it has the architecture, or the user's test, that the test is of."""
        if self.tests is not None:
            file, _, function = test.partition("::")
            source = tree.root / file
            return source.is_file() and f"def {_function(function)}(" in source.read_text(encoding="utf-8")
        _, bracket, model = test.rstrip("]").partition("[")
        return not bracket or model in self.models.get(tree.root, ())


@dataclass(frozen=True, slots=True)
class Workloads:
    """What to time: `expression` is one of `pytest -k`, or `names` lists tests; neither means all."""

    expression: str | None = None
    names: Sequence[str] = ()

    def arguments(self, tests: str | None) -> list[str]:
        """As pytest takes it, of the driver or of the user's own tests. The calibration is always there."""
        first, last = (f"{DRIVER}::{name}" for name in CALIBRATIONS)
        if self.names:
            return [first, *(name if tests else f"{DRIVER}::{name}" for name in self.names), last]
        chosen = ["-k", f"calibration or ({self.expression})"] if self.expression else []
        return [*([first, tests, last] if tests else [DRIVER]), *chosen]


class WrongImportError(BenchError):
    """A process timed another tree than it was to."""

    exit_code = 4


def measure_pairs(subject: Subject, workloads: Workloads, pairs: int, tick: Callable[[], None]) -> list[Pair]:
    """Times both trees `pairs` times: AB, BA, AB, ... so that a drift of the machine hits both alike.

    Calls `tick` after each process. Raises WrongImportError, and BenchError where pytest-benchmark isn't installed or a
    process can't measure at all.
    """
    _require_pytest()
    measured = []
    for number in range(pairs):
        swapped = number % 2 == 1
        arms = {}
        for tree in (subject.head, subject.base) if swapped else (subject.base, subject.head):
            arms[tree.root] = measure(subject, tree, workloads)
            tick()
        measured.append(Pair(swapped, arms[subject.base.root], arms[subject.head.root]))
    return measured


def measure(subject: Subject, tree: Tree, workloads: Workloads, profiles: Path | None = None) -> Measured:
    """One process of one tree; with `profiles` it leaves a profile of each test there, under its name."""
    with _laid_out(subject, tree, profiles) as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "witness", "--benchmark-only"]
        command += ["--benchmark-disable-gc", f"--benchmark-json={folder / 'times.json'}"]
        if profiles is not None:
            command += ["--benchmark-cprofile=tottime", f"--benchmark-cprofile-dump={profiles / 'test'}"]
        command += workloads.arguments(_within_tests(subject))
        try:
            done = subprocess.run(  # noqa: S603  # no shell
                command,
                cwd=folder,
                env=_environment(folder, tree),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Measured(failures={PROCESS: f"its process was stopped after {_TIMEOUT_SECONDS:,} seconds"})
        witness = _read(folder / "witness.json")
        _require_own_code(witness, tree, subject)
        failures = {_named(test): reason for test, reason in witness.get("failures", {}).items()}
        if done.returncode not in _MEASURED or not witness:
            return Measured(failures=failures | {PROCESS: _how_it_ended(done)})
        return Measured(_samples(_read(folder / "times.json")), failures)


def environment_of(tree: Tree) -> dict[str, str]:
    """That of a process which is to run the tree's code, with one thread."""
    environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
    environment["PYTHONPATH"] = os.pathsep.join(map(str, tree.path))
    # Whoever calls this may be a test of their own, and then these would reach into ours.
    return {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}


def _require_pytest() -> None:
    for module in ("pytest", "pytest_benchmark"):
        if find_spec(module) is None:
            raise BenchError(f"times are taken with pytest-benchmark, and there is no {module}: pip install -e .[test]")


@contextmanager
def _laid_out(subject: Subject, tree: Tree, profiles: Path | None) -> Iterator[Path]:
    """A folder with everything that is to run, the same for both trees but for what the task says."""
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as place:
        folder = Path(place).resolve()
        shutil.copy(_HERE / "driver.py", folder / DRIVER)
        for name in ("doors.py", "witness.py"):
            shutil.copy(_HERE / name, folder / name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        task = {
            "models": list(subject.models.get(tree.root, ())),
            "study": subject.study,
            "root": str(tree.root),
            "results": None if subject.results is None else str(subject.results),
            "data_dir": str(subject.data_dir.resolve()),
            "cwd": os.getcwd(),
            "dataset": subject.dataset,
            "sample": subject.sample,
            "profile": None if profiles is None else str(profiles / "test"),
        }
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        if subject.tests is not None:
            # The whole of the tests' folder: conftest files and helpers count as they do where they lie.
            top = subject.tests.parts[0]
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(subject.head.root / top, folder / top, ignore=skipped)
        yield folder


def _environment(folder: Path, tree: Tree) -> dict[str, str]:
    environment = environment_of(tree)
    environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
    return environment | {
        "BENCH_CHECK_TASK": str(folder / "task.json"),
        "BENCH_CHECK_WITNESS": str(folder / "witness.json"),
    }


def _within_tests(subject: Subject) -> str | None:
    return None if subject.tests is None else subject.tests.as_posix()


def _require_own_code(witness: Mapping[str, Any], tree: Tree, subject: Subject) -> None:
    """Raises WrongImportError where the harness wasn't the tree's, or anything was the other tree's."""
    other = subject.head if tree is subject.base else subject.base
    strangers = [file for file in witness.get("harness", []) if not Path(file).resolve().is_relative_to(tree.package)]
    libraries = Path(sys.prefix).resolve()  # an environment may lie within a tree
    imported = witness.get("files", []) if other.root != tree.package else []
    strangers += [
        file for file in imported if Path(file).is_relative_to(other.root) and not Path(file).is_relative_to(libraries)
    ]
    if strangers:
        raise WrongImportError(f"the process that was to time {tree.name} imported {strangers[0]}")


def _read(path: Path) -> dict[str, Any]:
    """What a process wrote; nothing where it didn't come to that."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _samples(report: Mapping[str, Any]) -> dict[str, list[float]]:
    return {
        _named(one["fullname"]): one["extra_info"].get("bytes") or one["stats"]["data"]
        for one in report.get("benchmarks", [])
    }


def _named(test: str) -> str:
    """A test's name: of the user's own with its file."""
    file, _, name = test.partition("::")
    return name if file == DRIVER and name else test


def _function(test: str) -> str:
    return test.rpartition("::")[2].partition("[")[0]


def _how_it_ended(done: "subprocess.CompletedProcess[str]") -> str:
    """Of a process that crashed: how, and what it last said."""
    code = done.returncode
    how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = " / ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
    return printable(f"its process {how}{f': {last}' if last else ''}")
