"""`bench check` in a repository that merely depends on the package: its own networks, tests and baselines."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.check.arms import Workloads, measure_pairs
from bench.check.measured import CALIBRATIONS
from bench.check.subject import head_tree, make_subject
from bench.check.trees import checked_out, this_tree
from bench.cli import run_command_line
from bench.plan.catalogue import use
from bench.studies.load import load_study

ROOT = Path(__file__).parent.parent

STUDY = '''"""Which width?"""

import numpy as np
from helper import small

from bench.study import Study, from_arrays

IMAGES = np.random.default_rng(0).integers(0, 256, (700, 8, 8), dtype=np.uint8)
LABELS = np.arange(700) % 3


def tiny(shape, classes, *, batch_norm=False):
    return small(shape, classes, 4, batch_norm)


TRAIN, TEST = (IMAGES[:600], LABELS[:600]), (IMAGES[600:], LABELS[600:])
STUDY = Study(architectures=[tiny], data=from_arrays("dots", TRAIN, TEST))
'''

HELPER = """from torch import nn


def small(shape, classes, width, batch_norm):
    norm = [nn.BatchNorm2d(width)] if batch_norm else []
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3),
        *norm,
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )
"""

PERF = """import helper


def test_helper(benchmark):
    benchmark.pedantic(lambda: helper.small((1, 8, 8), 3, 4, False), rounds=3)


def test_new(benchmark):
    benchmark.pedantic(helper.later, rounds=3)
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a study and tests at its first commit, and a builder and a test more since."""
    root = (tmp_path / "mine").resolve()
    (root / "tests" / "perf").mkdir(parents=True)
    (root / "my_study.py").write_text(STUDY)
    (root / "helper.py").write_text(HELPER)
    (root / "tests" / "perf" / "test_perf.py").write_text(PERF.partition("\n\ndef test_new")[0])
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    (root / "helper.py").write_text(HELPER + "\n\ndef later():\n    return 1\n")
    (root / "my_study.py").write_text(
        STUDY.replace(
            "STUDY =", "def wide(shape, classes):\n    return small(shape, classes, 8, True)\n\n\nSTUDY ="
        ).replace("[tiny]", "[tiny, wide]")
    )
    (root / "tests" / "perf" / "test_perf.py").write_text(PERF)
    monkeypatch.chdir(root)
    return root


def test_its_own_networks_are_checked_and_no_others(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", "exact", "my_study.py"]
    assert run_command_line([*command, "--update"]) == 0
    assert "3 new, 0 gone" in capsys.readouterr().out
    baseline = repository / "results" / "my_study" / "baseline" / "exact.csv"
    assert "model1" not in baseline.read_text()
    helper = repository / "helper.py"
    helper.write_text(helper.read_text().replace("nn.ReLU(),\n", "nn.ReLU(),\n        nn.Conv2d(width, width, 3),\n"))
    command = ["python", "-m", "bench", "check", "exact", "my_study.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    assert done.returncode == 3, done.stderr
    assert "parameters" in done.stdout
    assert "::error file=my_study.py,line=12,title=exact tiny" in done.stdout


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(os.sys.executable).parent), os.environ["PATH"]])  # type: ignore[attr-defined]
    return os.environ | {"PYTHONPATH": str(ROOT), "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "", "PATH": path}


@pytest.mark.slow
def test_its_networks_are_timed_in_both_trees_with_the_package_that_is_installed(repository: Path) -> None:
    use(load_study("my_study.py"))
    head = head_tree("my_study.py", None)
    assert (head.root, head.package) == (repository, this_tree().root)
    with checked_out("HEAD", head) as base:
        assert base.package == head.package
        subject = make_subject(base, head, "my_study.py", None, Path("results"), Path("data"))
        assert list(subject.models.values()) == [["tiny"], ["tiny", "wide"]]
        [pair] = measure_pairs(subject, Workloads("test_training"), 1, lambda: None)
    assert set(pair.base.samples) == {"test_training[tiny]", *CALIBRATIONS}, pair.base.failures
    assert set(pair.head.samples) == {"test_training[tiny]", "test_training[wide]", *CALIBRATIONS}, pair.head.failures
    assert [subject.has(tree, "test_training[wide]") for tree in (base, head)] == [False, True]


@pytest.mark.slow
def test_its_own_tests_are_timed_as_this_tree_has_them(repository: Path) -> None:
    head = head_tree(None, Path("tests/perf"))
    with checked_out("HEAD", head) as base:
        subject = make_subject(base, head, None, Path("tests/perf"), Path("results"), Path("data"))
        [pair] = measure_pairs(subject, Workloads(), 1, lambda: None)
        old, new = (f"tests/perf/test_perf.py::test_{name}" for name in ("helper", "new"))
        assert [subject.has(base, test) for test in (old, new)] == [True, False]
    assert set(pair.head.samples) == {old, new, *CALIBRATIONS}, pair.head.failures
    assert set(pair.base.samples) == {old, *CALIBRATIONS}
    assert pair.base.reason(new) == "AttributeError: module 'helper' has no attribute 'later'"
    assert repository == head.root


GH = """#!/usr/bin/env bash
echo "$@" >> "$CALLS"
case "$*" in *--paginate*) printf "%s" "$FOUND" ;; esac
"""


@pytest.fixture
def comment(tmp_path: Path) -> Callable[[str], list[str]]:
    """Calls the script that comments, with a `gh` that finds such a comment; what it then called."""

    def run(found: str) -> list[str]:
        gh, calls = tmp_path / "gh", tmp_path / f"calls{found}"
        gh.write_text(GH)
        gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
        (tmp_path / "check.md").write_text("<!-- bench check -->\n## bench check\n")
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "FOUND": found}
        command = ["bash", str(ROOT / ".github" / "comment.sh"), "me/mine", "7", str(tmp_path / "check.md")]
        subprocess.run(command, env=environment, check=True)
        return calls.read_text().splitlines()

    return run


def test_a_comment_is_written_once_and_then_updated(comment: Callable[[str], list[str]]) -> None:
    first, again = comment(""), comment("41\n")
    assert "--method POST repos/me/mine/issues/7/comments" in first[1]
    assert "--method PATCH repos/me/mine/issues/comments/41" in again[1]
    assert 'startswith("<!-- bench check -->")' in first[0]
    assert len(first) == len(again) == 2


def test_the_comment_begins_with_the_mark_that_it_is_found_by(tmp_path: Path) -> None:
    file = tmp_path / "check.md"
    code = run_command_line(["check", "exact", "--results", str(ROOT / "results"), "--markdown", str(file)])
    mark, title, empty, *_ = file.read_text().splitlines()
    assert (code, mark, empty) == (0, "<!-- bench check -->", "")
    assert title.startswith("## bench check: no regression (")
