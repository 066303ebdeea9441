"""What a check is about: this repository's own networks, or a study in a repository that depends on the package."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from bench.check.arms import Subject, environment_of
from bench.check.trees import Tree, this_tree, tree_of
from bench.errors import BenchError, UsageError, printable
from bench.plan.catalogue import built_in
from bench.session.request import root_of
from bench.studies.load import GROUP, NAME


def head_tree(study: str | None, tests: Path | None) -> Tree:
    """The tree that is checked: the repository of the study's file, or the one we are in, or else the harness's own.
    Raises UsageError."""
    if study is not None and (file := _file(study)) is not None:
        return tree_of(file.parent)
    return this_tree() if study is None and tests is None else tree_of(Path())


def make_subject(
    base: Tree, head: Tree, study: str | None, tests: Path | None, results: Path, data_dir: Path
) -> Subject:
    """Both trees, what each has, and rows to read. Raises BenchError where a tree can't say what it has."""
    named = None if study is None else _in_tree(study, head)
    folder = None if tests is None else tests_in(head, tests)
    models = {} if folder is not None else {tree.root: _models(tree, named) for tree in (base, head)}
    dataset, sample = embedded(data_dir)
    return Subject(base, head, models, named, folder, _with_rows(base, head, results), data_dir, dataset, sample)


def embedded(data_dir: Path) -> tuple[str, tuple[int, tuple[int, ...], int]]:
    """The built-in data set that needs no files: its name, how many training images, their shape, how many classes."""
    found = next(one for one in built_in().datasets.values() if not one.files(data_dir))
    data = found.load(data_dir)
    return found.name, (len(data.train), data.input_shape, data.classes)


def tests_in(tree: Tree, tests: Path) -> Path:
    """The tests' folder or file, relative to the tree. Raises UsageError."""
    where = tests.resolve()
    if not where.exists() or not where.is_relative_to(tree.root) or where == tree.root:
        raise UsageError(f"--tests is a folder or a file of tests within {tree.root}, not {tests}")
    return where.relative_to(tree.root)


def _file(study: str) -> Path | None:
    """The study's file, where a file names it."""
    place = study if study.endswith(".py") else study.rpartition(":")[0]
    return Path(place).resolve() if place.endswith(".py") else None


def _in_tree(study: str, tree: Tree) -> str:
    """The study as FILE.py:NAME below the tree's root, or as module:NAME."""
    _, colon, name = study.rpartition(":")
    file = _file(study)
    if file is not None:
        return f"{file.relative_to(tree.root).as_posix()}:{name if colon and not study.endswith('.py') else NAME}"
    if colon:
        return study
    [point] = [point for point in entry_points(group=GROUP) if point.name == study]
    return str(point.value)


def _models(tree: Tree, study: str | None) -> list[str]:
    """The architectures of a tree's own catalogue, as its own command line lists them; none where the tree has no such
    study. Raises BenchError."""
    file = None if study is None or ".py" not in study else tree.root / study.rpartition(":")[0]
    if file is not None and not file.exists():
        return []
    named = [] if study is None else [f"{file}:{study.rpartition(':')[2]}" if file is not None else study]
    with tempfile.TemporaryDirectory(prefix="bench-check-") as nowhere:
        done = subprocess.run(  # noqa: S603  # no shell
            [sys.executable, "-m", "bench", "list", *named],
            cwd=nowhere,
            env=environment_of(tree),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    names = list(_first_column(done.stdout)) if done.returncode == 0 else []
    if not names:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise BenchError(f"`bench list` fails in {tree.name}, so nothing of it can be timed: {printable(last)}")
    return names


def _first_column(table: str) -> Iterator[str]:
    """Of the first table that is printed, which ends with an empty line."""
    for line in table.splitlines()[2:]:
        if not line.strip():
            return
        yield line.split()[0]


def _with_rows(base: Tree, head: Tree, results: Path) -> Path | None:
    """A folder of rows that both trees can read: the base's, which this tree has to be able to read, or else this
    tree's; None where neither has any."""
    here = results.resolve()
    there = base.root / here.relative_to(head.root) if here.is_relative_to(head.root) else None
    for folder in (there, here):
        if folder is not None and any(root_of(folder).glob("*/trials.csv")):
            return folder
    return None
