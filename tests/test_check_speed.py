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
from bench.check.arms import Subject, Workloads, WrongImportError, measure_pairs
from bench.check.measured import CALIBRATIONS, PROCESS, Measured, Pair
from bench.check.pairs import Slowdown, confirmed, judge, rate_bounds, slowdown
from bench.check.profiles import Function, slower_functions
from bench.check.same import TARGET, false_alarms
from bench.check.speed import PAIRS, TOLERANCE, compare_trees
from bench.check.subject import embedded
from bench.check.trees import Tree, checked_out, copied, find_commit, this_tree
from bench.check.verdict import CheckRow, ExitCode, Kind, Verdict
from bench.cli import run_command_line
from bench.errors import BenchError, UsageError

ROOT = Path(__file__).parent.parent
WORKLOADS = 16


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


@pytest.mark.parametrize("moved", [0.0, 0.02])
def test_what_the_machine_moved_by_costs_power_and_never_a_false_alarm(moved: float) -> None:
    generator = np.random.default_rng(0)
    known = Slowdown(0.0, 0.0, 0.0, 0.03, PAIRS, moved)
    change = known.detectable(TOLERANCE)

    def reds(true: float) -> np.ndarray:
        logs = np.log1p(true) + generator.normal(0, 0.03, (8000, PAIRS))
        return np.array([slowdown([1.0] * PAIRS, list(np.exp(row)), moved).low > TOLERANCE for row in logs])

    found, false = reds(change), reds(TOLERANCE)
    assert np.mean(found[::2] & found[1::2]) == pytest.approx(0.8, abs=0.025)
    assert np.mean(false) <= 0.05 + 0.006


def test_rate_bounds_are_clopper_and_pearsons() -> None:
    assert rate_bounds(0, 598)[1] == pytest.approx(1 - 0.05 ** (1 / 598))
    assert rate_bounds(0, 598)[1] < TARGET < rate_bounds(0, 590)[1] + 1e-4
    assert rate_bounds(0, 5)[0] == 0.0


def test_a_red_needs_two() -> None:
    assert confirmed(Verdict.FAIL, Verdict.FAIL) is Verdict.FAIL
    assert confirmed(Verdict.FAIL, Verdict.PASS) is Verdict.INCONCLUSIVE
    assert confirmed(Verdict.PASS, Verdict.FAIL) is Verdict.PASS


def processes(
    ratio: float, again: float | None = None, calibration: float = 1.0, sd: float = 0.01, lost: int = 0
) -> Callable[[Workloads], list[Pair]]:
    """Stands in for timing: head takes `ratio` times base's seconds, `again` times in the confirmation. In `lost` pairs
    this tree's process crashed.
    """
    generator = np.random.default_rng(0)

    def arm(factor: float, moved: float, names: list[str]) -> Measured:
        times = {name: list(0.1 * factor * np.exp(generator.normal(0, sd)) * np.ones(3)) for name in names}
        return Measured(times | {name: [0.05 * moved] * 3 for name in CALIBRATIONS})

    def measure(workloads: Workloads) -> list[Pair]:
        names = list(workloads.names) or ["test_training[model1]", "test_planning"]
        now = again if workloads.names and again is not None else ratio
        pairs = [Pair(n % 2 == 1, arm(1, 1, names), arm(now, calibration, names)) for n in range(PAIRS)]
        crash = Measured(failures={PROCESS: "its process ended by SIGSEGV: the last words"})
        return [Pair(pair.swapped, pair.base, crash if n < lost else pair.head) for n, pair in enumerate(pairs)]

    return measure


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [
        (processes(1.0), Verdict.PASS),
        (processes(1.15), Verdict.FAIL),
        (processes(1.15, again=1.0), Verdict.INCONCLUSIVE),
        (processes(1.5, calibration=1.03), Verdict.FAIL),
        (processes(1.04, calibration=1.03), Verdict.INCONCLUSIVE),
        (processes(1.06, calibration=1.03), Verdict.INCONCLUSIVE),
        (processes(1.0, calibration=0.97), Verdict.PASS),
        (processes(1.0, calibration=0.9), Verdict.INCONCLUSIVE),
        (processes(1.0, sd=0.2), Verdict.INCONCLUSIVE),
        (processes(0.5), Verdict.PASS),
        (processes(2.0, lost=1), Verdict.FAIL),
        (processes(1.0, lost=5), Verdict.PASS),
        (processes(2.0, lost=6), Verdict.MISSING),
    ],
    ids=[
        *("same", "slower", "not confirmed", "much slower on a slower machine", "a little slower on a slower machine"),
        *("at the limit on a slower machine", "faster machine", "much faster machine", "noisy", "faster"),
        *("one pair lost", "half of the pairs lost", "most pairs lost"),
    ],
)
def test_the_verdict_on_pairs_of_processes(measure: Callable[[Workloads], list[Pair]], verdict: Verdict) -> None:
    rows = compare_trees(measure, Workloads(), TOLERANCE)
    assert [row.name for row in rows] == ["training model1", "planning"]
    assert {row.verdict for row in rows} == {verdict}
    if verdict is not Verdict.MISSING:
        assert all("would show" in row.message for row in rows)
        assert len(rows[0].samples["base 9 test_training[model1]"]) == 3


def test_what_moved_with_the_machine_is_said() -> None:
    [row, _] = compare_trees(processes(1.04, calibration=1.03), Workloads(), TOLERANCE)
    assert "the calibration workload moved by 3.0 %, and the interval is wider by that" in row.message


def test_lost_pairs_are_counted_and_the_reason_is_given() -> None:
    [row, _] = compare_trees(processes(2.0, lost=1), Workloads(), TOLERANCE)
    assert "over 9 of 10 pairs" in row.message
    assert "the others were lost: its process ended by SIGSEGV: the last words" in row.message
    [row, _] = compare_trees(processes(2.0, lost=6), Workloads(), TOLERANCE)
    assert row.message.startswith(
        "4 of 10 pairs have it; it fails in this tree in 6 of 10 processes: its process ended"
    )


def test_where_a_red_row_spends_its_time_is_said() -> None:
    slower = [
        Function("conv2d in forward", "torch/functional.py", 12, 0.02, False),
        Function("step", "a.py", 7, 0.01, True),
    ]
    rows = compare_trees(processes(1.5), Workloads(), TOLERANCE, where=lambda _: slower)
    assert "conv2d in forward (torch/functional.py:12) +20 ms; step (a.py:7) +10 ms" in rows[0].message
    assert rows[0].place == ("a.py", 7)


BOTH = {name: [0.1] for name in CALIBRATIONS}


def test_new_is_only_what_the_base_does_not_have_by_its_own_account() -> None:
    """A workload that fails in the base, as after a renaming, was not measured."""
    broken = Measured(BOTH | {"test_old": [1.0]}, {"test_new": "AttributeError: no Training"})
    pairs = [Pair(False, broken, Measured(BOTH | {"test_new": [1.0]}))] * PAIRS
    rows = compare_trees(lambda _workloads: pairs, Workloads(), TOLERANCE, lambda _: (True, True))
    found = {row.name: row for row in rows}
    assert {name: row.verdict for name, row in found.items()} == {"new": Verdict.MISSING, "old": Verdict.MISSING}
    assert found["new"].message == "it fails in the base: AttributeError: no Training"
    assert found["old"].message == "it fails in this tree: it did not run, and nothing says why"
    without = compare_trees(lambda _workloads: pairs, Workloads(), TOLERANCE, lambda test: (test != "test_new", True))
    assert {row.name: row.verdict for row in without}["new"] is Verdict.NEW


def test_processes_that_all_crash_are_one_row_that_says_why() -> None:
    crash = Measured(failures={PROCESS: "its process ended with exit code 1: no module"})
    [row] = compare_trees(lambda _workloads: [Pair(False, crash, crash)] * PAIRS, Workloads(), TOLERANCE)
    assert (row.verdict, row.name) == (Verdict.MISSING, "every workload")
    assert "its process ended with exit code 1: no module" in row.message
    nothing = Measured(BOTH)
    assert compare_trees(lambda _workloads: [Pair(False, nothing, nothing)] * PAIRS, Workloads(), TOLERANCE) == []


def test_memory_does_not_depend_on_the_calibration() -> None:
    def arm(size: float, moved: float) -> Measured:
        return Measured({"test_memory_of_training": [size]} | {name: [0.1 * moved] for name in CALIBRATIONS})

    sizes = [2e8, 2.01e8] * (PAIRS // 2)
    pairs = [Pair(False, arm(size, 1.0), arm(1.2 * size, 1.5)) for size in sizes]
    slower = [Function("step", "a.py", 7, 0.01, True)]
    [row] = compare_trees(lambda _workloads: pairs, Workloads(), TOLERANCE, where=lambda _: slower)
    assert row.verdict is Verdict.FAIL
    assert "more own time" not in row.message.lower()  # a profile says nothing of memory
    assert (row.baseline, row.value) == ("191.7 MB", "230 MB")


def test_false_alarms_are_counted_by_run() -> None:
    passed = CheckRow(Kind.SPEED, "one", Verdict.PASS, "", "", "")
    failed = CheckRow(Kind.SPEED, "two", Verdict.FAIL, "", "", "")
    assert false_alarms([[passed, passed]] * 5).exit_code is ExitCode.PASS
    alarms = false_alarms([[passed, failed], [failed, failed], [], [passed]])
    assert (alarms.runs, alarms.red, alarms.rows) == (3, 2, 5)
    assert alarms.exit_code is ExitCode.REGRESSION
    assert false_alarms([[]]).exit_code is ExitCode.NOT_DECIDED


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("check speed --against no-such-branch", "names no commit here"),
        ("check speed --against --help-me", "takes a branch, tag or commit"),
        ("check speed --pairs 1", "--pairs is 2 to 1,000"),
        ("check speed --tolerance 0", "--tolerance is a percentage above 0"),
        ("check --against no-such-branch", "names no commit here"),
        ("check --aa -1", "--aa is 1 to 10,000"),
        ("check speed --tests no/such/folder", "--tests is a folder or a file of tests within"),
        ("check speed my_study.py --tests tests", "exclude each other"),
        ("check my_study.py exact", "the study comes after the check: bench check exact my_study.py"),
        ("check no_such_study.py", "is not there"),
        ("check history no-such-file", "can't be read"),
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
    root = (tmp_path / "tree").resolve()
    for package in trees.PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".gitignore").write_text("__pycache__/\n")
    commit(root, "base")
    for module in ("trees", "subject"):
        monkeypatch.setattr(f"bench.check.{module}.this_tree", lambda: Tree("this tree", root, root))
    return root


def commit(root: Path, message: str) -> None:
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", message]):
        subprocess.run([*git, *words], check=True)


def worktrees(root: Path) -> int:
    done = subprocess.run(["git", "-C", str(root), "worktree", "list"], capture_output=True, text=True, check=True)
    return len(done.stdout.splitlines())


@pytest.mark.parametrize("error", [KeyboardInterrupt, BenchError])
def test_the_worktree_is_gone_whatever_happens(repository: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), checked_out("HEAD", trees.this_tree()) as base:  # noqa: PT012  # leaving the block is what is tested
        assert (base.root / "bench" / "cli.py").exists()
        assert worktrees(repository) == 2
        raise error
    assert not base.root.exists()
    assert worktrees(repository) == 1


def test_outside_a_repository_there_is_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is no git repository"):
        find_commit("HEAD", Tree("this tree", tmp_path, tmp_path))


def subject(base: Tree, head: Tree) -> Subject:
    dataset, sample = embedded(Path("data"))
    return Subject(base, head, {tree.root: ["model1"] for tree in (base, head)}, dataset=dataset, sample=sample)


def quickly(base: Tree, head: Tree, only: str | None = "start_of_the") -> list[Pair]:
    return measure_pairs(subject(base, head), Workloads(only), 1, lambda: None)


def test_each_process_times_its_own_tree() -> None:
    with copied(this_tree()) as base:
        [pair] = quickly(base, this_tree())
    assert set(pair.base.samples) == set(pair.head.samples) == {"test_start_of_the_command_line", *CALIBRATIONS}
    assert len(pair.base.samples["test_start_of_the_command_line"]) == 3


def test_an_import_from_elsewhere_is_refused(tmp_path: Path) -> None:
    """An empty folder leaves the import to whatever is installed, or to nothing."""
    (tmp_path / "architectures").symlink_to(ROOT / "architectures")
    (tmp_path / "bench").symlink_to(ROOT / "bench")
    with pytest.raises(WrongImportError, match="imported") as caught:
        quickly(Tree("the base", tmp_path, tmp_path), this_tree())
    assert caught.value.exit_code == 4


@pytest.mark.slow
def test_an_empty_selection_measures_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["check", "speed", "--pairs", "2", "--only", "no_such_workload"]) == 4
    assert "no workload was timed" in capsys.readouterr().out
    assert worktrees(repository) == 1


def test_a_base_that_does_not_run_says_why(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = repository / "architectures" / "__init__.py"
    whole = package.read_text()
    package.write_text("raise RuntimeError('not today')\n")
    commit(repository, "broken")
    package.write_text(whole)
    assert run_command_line(["check", "speed", "--pairs", "2", "--only", "planning"]) == 4
    assert "not today" in " ".join(capsys.readouterr().out.split())
    assert worktrees(repository) == 1


@pytest.mark.slow
def test_a_workload_that_breaks_says_why_and_a_renamed_class_breaks_none(repository: Path) -> None:
    """In one process: what is public is broken for one workload, and a class inside of the engine has another name."""
    loop = repository / "bench" / "train"
    for file in sorted(loop.rglob("*.py")):
        file.write_text(file.read_text().replace("StackTraining", "Renamed").replace("GeneralTraining", "Renamed2"))
    idx = repository / "bench" / "sources" / "idx.py"
    idx.write_text(idx.read_text() + "\n\ndef from_idx(*_):\n    raise RuntimeError('no such format')\n")
    tree = trees.this_tree()
    with copied(tree) as base:
        [pair] = measure_pairs(subject(base, tree), Workloads("data_loading or rows_written"), 1, lambda: None)
    assert "test_rows_written" in pair.head.samples, pair.head.failures
    assert pair.head.reason("test_data_loading") == "RuntimeError: no such format"


@pytest.mark.slow
def test_a_profile_names_the_function_that_became_slower(repository: Path) -> None:
    tree = trees.this_tree()
    with copied(tree) as base:
        cli = repository / "bench" / "cli.py"
        mark, call = "def run_command_line(arguments: Sequence[str]) -> int:\n", "            code = app("
        waste = "def _waste() -> int:\n    return sum(n * n % 7 for n in range(300_000))\n\n\n"
        source = cli.read_text()
        assert mark in source
        assert call in source
        cli.write_text(source.replace(mark, f"{waste}{mark}").replace(call, f"            _waste()\n{call}"))
        found = slower_functions(subject(base, tree), "test_start_of_the_command_line")
    assert found[0].file == "bench/cli.py"
    assert {found[0].name, found[1].name} & {"genexpr", "sum in _waste", "_waste"}
    assert len(found) <= 5


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
    """A forward pass of half a batch more is about 15 % of a step: real work, no sleep. It is found where it is."""
    single = repository / "bench" / "train" / "single.py"
    source = single.read_text()
    mark = "        loss.backward()\n"
    assert mark in source
    single.write_text(source.replace(mark, f"{mark}        {planted}\n"))
    command = [sys.executable, "-m", "bench", "check", "speed", "--only", "training and model1"]
    command += ["--results", str(ROOT / "results"), "--json", "rows.json"]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == code, done.stdout
    [row] = json.loads((repository / "rows.json").read_text())["rows"]
    assert row["name"] == "training model1"
    assert (row["verdict"] == "fail") == (code == 3)
