"""The trees that are compared: the one that the study or the package lies in, and a git ref of its repository."""

import shutil
import subprocess
import sys
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
    """A folder with the code to compare, and what people call it. `package` is the folder that its processes must
    import `bench` from: the tree itself, or where it is installed, for a repository that merely depends on it."""

    name: str
    root: Path
    package: Path

    @property
    def path(self) -> list[Path]:
        """Where its processes look for modules first."""
        own = [self.root, self.root / "src"] if (self.root / "src").is_dir() else [self.root]
        # An installed package is found anyway, and its folder holds much that should not come before Python's own.
        installed = self.package.is_relative_to(sys.prefix) or self.package == self.root
        return own if installed else [*own, self.package]


def this_tree() -> Tree:
    """The tree that this program runs from."""
    root = Path(bench.__path__[0]).resolve().parent
    return Tree("this tree", root, root)


def tree_of(folder: Path) -> Tree:
    """The git repository that a folder lies in. Raises UsageError for one that lies in none."""
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        raise UsageError(f"{folder.resolve()} is in no git repository, so there is nothing to compare with")
    root = Path(done.stdout.strip()).resolve()
    own = this_tree()
    return own if own.root == root else Tree("this tree", root, own.root)


def find_commit(ref: str, tree: Tree) -> str:
    """The commit that `ref` names in the tree's repository. Raises UsageError."""
    if ref.startswith("-"):
        raise UsageError(f"--against takes a branch, tag or commit, not {ref!r}")
    done = _git(tree.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if done.returncode:
        if _git(tree.root, "rev-parse", "--git-dir").returncode:
            raise UsageError(
                f"{tree.root} is no git repository, so there is no {ref} to compare with; to check a study of "
                "yours, name it: bench check my_study.py"
            )
        raise UsageError(f"--against {ref} names no commit here: fetch it first, as with `git fetch origin`")
    return done.stdout.strip()


@contextmanager
def checked_out(ref: str, tree: Tree) -> Iterator[Tree]:
    """The ref's tree in a worktree, which is gone when the block ends, however it ends. Raises BenchError."""
    commit = find_commit(ref, tree)
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve() / "base"
        try:
            done = _git(tree.root, "worktree", "add", "--detach", "--force", str(root), commit)
            if done.returncode:
                raise BenchError(f"git can't check {ref} out: {done.stderr.strip() or 'it does not say why'}")
            yield _other(f"{ref} ({commit[:10]})", root, tree)
        finally:
            _git(tree.root, "worktree", "remove", "--force", str(root))


@contextmanager
def copied(tree: Tree) -> Iterator[Tree]:
    """The tree's code in another folder: the same, as far from this tree as a ref's would be. Of the harness these are
    its packages, of another repository every file that git would take. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="bench-check-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve() / "base"
        if tree.package == tree.root:
            for package in PACKAGES:
                shutil.copytree(tree.root / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            for name in _tracked(tree):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(tree.root / name, root / name)
        yield _other("a copy of this tree", root, tree)


def head_commit(tree: Tree) -> tuple[str, str]:
    """The tree's last commit and its date in ISO 8601, with `+` behind the commit where files differ from it."""
    done = _git(tree.root, "show", "-s", "--format=%H %cI", "HEAD")
    if done.returncode:
        raise BenchError(f"{tree.root} has no commit to name in a history")
    commit, _, date = done.stdout.strip().partition(" ")
    changed = _git(tree.root, "status", "--porcelain", "--untracked-files=no").stdout.strip()
    return f"{commit}+" if changed else commit, date


def _other(name: str, root: Path, tree: Tree) -> Tree:
    return Tree(name, root, root if tree.package == tree.root else tree.package)


def _tracked(tree: Tree) -> list[str]:
    done = _git(tree.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if done.returncode:
        raise BenchError(f"git can't list the files of {tree.root}: {done.stderr.strip()}")
    return [name for name in done.stdout.split("\0") if name and (tree.root / name).is_file()]


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    except OSError as error:
        raise BenchError(f"git can't be run: {error.strerror or error}") from error
