"""`bench check speed`: the statistics by simulation, the rule on made-up processes, and real processes.

`pytest -m timing` also plants a slower training step and finds it: minutes, on a machine that does nothing else.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.check import trees
from bench.check.arms import CALIBRATIONS, Pair, Workloads, WrongImportError, measure_pairs
from bench.check.pairs import Slowdown, confirmed, judge, rate_bounds, slowdown
from bench.check.same import TARGET, false_alarms
from bench.check.speed import PAIRS, TOLERANCE, compare_trees
from bench.check.trees import Tree, checked_out, copied, find_commit, this_tree
from bench.check.verdict import CheckRow, ExitCode, Kind, Verdict
from bench.cli import run_command_line
from bench.errors import BenchError, UsageError

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "results" / "mnist"
WORKLOADS = 13


def simulated(sd: float, true: float, suites: int, rows: int, pairs: int = PAIRS) -> Iterator[list[Slowdown]]:
    """Slowdowns of every row of a suite, where a pair's log ratio has this sd about log(1 + true)."""
    generator = np.random.default_rng(0)
    for _ in range(suites):
        logs = np.log1p(true) + generator.normal(0, sd, (rows, pairs))
        yield [slowdown([1.0] * pairs, list(np.exp(row))) for row in logs]


@pytest.mark.parametrize("true", [0.0, 0.05, 0.2])
def test_the_lower_bound_covers(true: float) -> None:
    [measured] = simulated(0.03, true, 1, 4000)
    assert np.mean([one.low <= true for one in measured]) == pytest.approx(0.95, abs=0.012)
    assert np.mean([one.high >= true for one in measured]) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("sd", [0.01, 0.03, 0.05, 0.15])
def test_false_alarms_of_a_suite_are_rarer_than_the_target(sd: float) -> None:
    """Without a change, a suite is red where the same row is red in two independent sets of pairs."""
    [first] = simulated(sd, 0.0, 1, 20_000)
    once = float(np.mean([judge(one, TOLERANCE) is Verdict.FAIL for one in first]))
    upper = rate_bounds(round(once * len(first)), len(first))[1]
    assert 1 - (1 - upper**2) ** WORKLOADS < TARGET


def test_at_the_tolerance_itself_a_row_is_red_less_than_one_time_in_200() -> None:
    """The worst that may not be red: a slowdown of exactly the tolerance, 5 % of 5 % of the time."""
    [first] = simulated(0.03, TOLERANCE, 1, 4000)
    once = float(np.mean([judge(one, TOLERANCE) is Verdict.FAIL for one in first]))
    assert once == pytest.approx(0.05, abs=0.012)
    assert once**2 < TARGET


def test_the_detectable_slowdown_is_found_four_times_in_five() -> None:
    """By a first set of pairs and by the ones that confirm it, as a red needs both."""
    known = Slowdown(0.0, 0.0, 0.0, 0.03, PAIRS)
    [measured] = simulated(0.03, known.detectable(TOLERANCE), 1, 8000)
    red = [judge(one, TOLERANCE) is Verdict.FAIL for one in measured]
    both = np.logical_and(red[::2], red[1::2])
    assert np.mean(both) == pytest.approx(0.8, abs=0.025)


def test_rate_bounds_are_clopper_and_pearsons() -> None:
    assert rate_bounds(0, 598)[1] == pytest.approx(1 - 0.05 ** (1 / 598))
    assert rate_bounds(0, 598)[1] < TARGET < rate_bounds(0, 590)[1] + 1e-4
    assert rate_bounds(0, 5)[0] == 0.0


def test_a_red_needs_two() -> None:
    assert confirmed(Verdict.FAIL, Verdict.FAIL) is Verdict.FAIL
    assert confirmed(Verdict.FAIL, Verdict.PASS) is Verdict.INCONCLUSIVE
    assert confirmed(Verdict.PASS, Verdict.FAIL) is Verdict.PASS


def processes(
    ratio: float, again: float | None = None, calibration: float = 1.0, sd: float = 0.01
) -> Callable[[Workloads], list[Pair]]:
    """Stands in for timing: head takes `ratio` times base's seconds, `again` times in the confirmation."""
    generator = np.random.default_rng(0)

    def arm(factor: float, moved: float, names: list[str]) -> dict[str, list[float]]:
        times = {name: list(0.1 * factor * np.exp(generator.normal(0, sd)) * np.ones(3)) for name in names}
        return times | {name: [0.05 * moved] * 3 for name in CALIBRATIONS}

    def measure(workloads: Workloads) -> list[Pair]:
        names = list(workloads.names) or ["test_training_step[model1]", "test_planning"]
        now = again if workloads.names and again is not None else ratio
        return [Pair(n % 2 == 1, arm(1, 1, names), arm(now, calibration, names)) for n in range(PAIRS)]

    return measure


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [
        (processes(1.0), Verdict.PASS),
        (processes(1.15), Verdict.FAIL),
        (processes(1.15, again=1.0), Verdict.INCONCLUSIVE),
        (processes(1.15, calibration=1.03), Verdict.INCONCLUSIVE),
        (processes(1.0, calibration=0.97), Verdict.INCONCLUSIVE),
        (processes(1.0, sd=0.2), Verdict.INCONCLUSIVE),
        (processes(0.5), Verdict.PASS),
    ],
    ids=["same", "slower", "not confirmed", "slower machine", "faster machine", "noisy", "faster"],
)
def test_the_verdict_on_pairs_of_processes(measure: Callable[[Workloads], list[Pair]], verdict: Verdict) -> None:
    rows = compare_trees(measure, Workloads(), TOLERANCE)
    assert [row.name for row in rows] == ["training step model1", "planning"]
    assert {row.verdict for row in rows} == {verdict}
    assert all("would show" in row.message for row in rows)
    assert len(rows[0].samples["base 9 test_training_step[model1]"]) == 3


def test_what_only_one_tree_can_run_is_new_or_missing() -> None:
    both = {name: [0.1] for name in CALIBRATIONS}
    pairs = [Pair(False, both | {"test_old": [1.0]}, both | {"test_new": [1.0]})] * PAIRS
    rows = compare_trees(lambda _workloads: pairs, Workloads(), TOLERANCE)
    assert {row.name: row.verdict for row in rows} == {"new": Verdict.NEW, "old": Verdict.MISSING}
    assert compare_trees(lambda _workloads: [Pair(False, {}, {})] * PAIRS, Workloads(), TOLERANCE) == []


def test_a_row_that_lacks_pairs_was_not_measured() -> None:
    both = {name: [0.1] for name in CALIBRATIONS} | {"test_one": [1.0]}
    pairs = [Pair(False, both, both)] * (PAIRS - 1) + [Pair(False, both, {})]
    [row] = compare_trees(lambda _workloads: pairs, Workloads(), TOLERANCE)
    assert row.verdict is Verdict.MISSING


def test_false_alarms_are_counted_by_run() -> None:
    passed = CheckRow(Kind.SPEED, "one", Verdict.PASS, "", "", "")
    failed = CheckRow(Kind.SPEED, "two", Verdict.FAIL, "", "", "")
    assert false_alarms([[passed, passed]] * 5).exit_code is ExitCode.PASS
    alarms = false_alarms([[passed, failed], [failed, failed], [], [passed]])
    assert (alarms.runs, alarms.red, alarms.rows) == (3, 2, 5)
    assert alarms.exit_code is ExitCode.REGRESSION
    assert false_alarms([[]]).exit_code is ExitCode.NOTHING_MEASURED


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("check speed --against no-such-branch", "names no commit here"),
        ("check speed --against --help-me", "takes a branch, tag or commit"),
        ("check speed --pairs 1", "--pairs is 2 to 1,000"),
        ("check speed --tolerance 0", "--tolerance is a percentage above 0"),
        ("check --against no-such-branch", "names no commit here"),
        ("check --aa -1", "--aa is 1 to 10,000"),
    ],
)
def test_a_mistake_is_answered_before_anything_is_measured(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(command.split()) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository of its own with this tree's packages, which `this_tree` then is."""
    root = tmp_path / "tree"
    for package in trees.PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".gitignore").write_text("__pycache__/\n")
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(trees, "this_tree", lambda: Tree("this tree", root.resolve()))
    return root


def worktrees(root: Path) -> int:
    done = subprocess.run(["git", "-C", str(root), "worktree", "list"], capture_output=True, text=True, check=True)
    return len(done.stdout.splitlines())


@pytest.mark.parametrize("error", [KeyboardInterrupt, BenchError])
def test_the_worktree_is_gone_whatever_happens(repository: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), checked_out("HEAD") as base:  # noqa: PT012  # leaving the block is what is tested
        assert (base.root / "bench" / "cli.py").exists()
        assert worktrees(repository) == 2
        raise error
    assert not base.root.exists()
    assert worktrees(repository) == 1


def test_outside_a_repository_there_is_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "this_tree", lambda: Tree("this tree", tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is no git repository"):
        find_commit("HEAD")


def quickly(base: Tree, head: Tree, only: str | None = "planning") -> list[Pair]:
    return measure_pairs(base, head, Workloads(only), 1, ROWS, lambda: None)


def test_each_process_times_its_own_tree() -> None:
    with copied() as base:
        [pair] = quickly(base, this_tree())
    assert set(pair.base) == set(pair.head) == {"test_planning", *CALIBRATIONS}
    assert len(pair.base["test_planning"]) == 8


def test_an_import_from_elsewhere_is_refused(tmp_path: Path) -> None:
    """An empty folder leaves the import to whatever is installed, or to nothing."""
    (tmp_path / "architectures").symlink_to(ROOT / "architectures")
    (tmp_path / "bench").symlink_to(ROOT / "bench")
    with pytest.raises(WrongImportError, match="imported") as caught:
        quickly(Tree("the base", tmp_path), this_tree())
    assert caught.value.exit_code == 4


def test_an_empty_selection_measures_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["check", "speed", "--pairs", "2", "--only", "no_such_workload"]) == 4
    assert "no workload was timed" in capsys.readouterr().out
    assert worktrees(repository) == 1


def test_a_base_that_does_not_run_measures_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = repository / "architectures" / "__init__.py"
    whole = package.read_text()
    package.write_text("raise RuntimeError\n")
    git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run([*git, "commit", "-q", "-a", "-m", "broken"], check=True)
    package.write_text(whole)
    assert run_command_line(["check", "speed", "--pairs", "2", "--only", "planning"]) == 4
    assert "the base has no code for it" in " ".join(capsys.readouterr().out.split())
    assert worktrees(repository) == 1


@pytest.mark.timing
@pytest.mark.parametrize(
    ("planted", "code"),
    [
        ("self.network(self.prepare(images[:32]))", 3),
        ("# A comment costs nothing.", 0),
    ],
    ids=["slower", "comment"],
)
def test_a_slower_training_step_is_red_and_a_comment_is_not(repository: Path, planted: str, code: int) -> None:
    """A forward pass of half a batch more is about 15 % of a step: real work, no sleep."""
    single = repository / "bench" / "train" / "single.py"
    source = single.read_text()
    mark = "        loss.backward()\n"
    assert mark in source
    single.write_text(source.replace(mark, f"{mark}        {planted}\n"))
    command = [sys.executable, "-m", "bench", "check", "speed", "--only", "training_step and model1"]
    command += ["--results", str(ROOT / "results"), "--json", "rows.json"]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == code, done.stdout
    [row] = json.loads((repository / "rows.json").read_text())["rows"]
    assert row["name"] == "training step model1"
    assert (row["verdict"] == "fail") == (code == 3)
