"""The trees that are compared: the one that runs, and a git ref of its repository."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.errors import BenchError, UsageError

PACKAGES = ("architectures", "bench")


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder that holds the packages, and what people call it."""

    name: str
    root: Path


def this_tree() -> Tree:
    """The tree that this program runs from."""
    return Tree("this tree", Path(bench.__path__[0]).resolve().parent)


def find_commit(ref: str) -> str:
    """The commit that `ref` names in this tree's repository. Raises UsageError."""
    if ref.startswith("-"):
        raise UsageError(f"--against takes a branch, tag or commit, not {ref!r}")
    done = _git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if done.returncode:
        if _git("rev-parse", "--git-dir").returncode:
            raise UsageError(f"{this_tree().root} is no git repository, so there is no {ref} to compare with")
        raise UsageError(f"--against {ref} names no commit here: fetch it first, as with `git fetch origin`")
    return done.stdout.strip()


@contextmanager
def checked_out(ref: str) -> Iterator[Tree]:
    """The ref's tree in a worktree, which is gone when the block ends, however it ends. Raises BenchError."""
    commit = find_commit(ref)
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve() / "base"
        try:
            done = _git("worktree", "add", "--detach", "--force", str(root), commit)
            if done.returncode:
                raise BenchError(f"git can't check {ref} out: {done.stderr.strip() or 'it does not say why'}")
            yield Tree(f"{ref} ({commit[:10]})", root)
        finally:
            _git("worktree", "remove", "--force", str(root))


@contextmanager
def copied() -> Iterator[Tree]:
    """This tree's packages in another folder: the same code, as far from this tree as a ref's would be."""
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve() / "base"
        for package in PACKAGES:
            shutil.copytree(this_tree().root / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        yield Tree("a copy of this tree", root)


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", "-C", str(this_tree().root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    except OSError as error:
        raise BenchError(f"git can't be run: {error.strerror or error}") from error
