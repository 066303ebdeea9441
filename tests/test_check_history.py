"""`bench check --history` and `bench check history`: what no single check can see."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.check.drift import drifts, report
from bench.check.history import Entry, Ratio, append_entry, read_history
from bench.check.pairs import confirmed, judge, slowdown
from bench.check.verdict import CheckRow, ExitCode, Kind, Verdict
from bench.cli import run_command_line

SD, PAIRS = 0.01, 10


def timed(true: float, generator: np.random.Generator) -> CheckRow:
    """A row of ten pairs, and as many to confirm it, where this tree takes so much longer."""
    logs = math.log1p(true) + generator.normal(0, SD, (2, PAIRS))
    first, second = (slowdown([1.0] * PAIRS, list(np.exp(own))) for own in logs)
    verdict = confirmed(judge(first, 0.05), judge(second, 0.05))
    return CheckRow(Kind.SPEED, "training model1", verdict, "", "", "", paired=first.log_ratio)


def written(path: Path, changes: Sequence[float]) -> list[CheckRow]:
    """A history of a commit a day, each timed against the one before."""
    generator, rows = np.random.default_rng(0), []
    for number, change in enumerate(changes, 1):
        rows.append(timed(change, generator))
        append_entry(path, rows[-1:], f"commit{number}", f"2026-01-{number:02d}T00:00:00+00:00", f"commit{number - 1}")
    return rows


def test_five_percent_a_commit_are_found_and_said_though_each_commit_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, chart = tmp_path / "history.jsonl", tmp_path / "chart.svg"
    rows = written(path, [0.05] * 6)
    assert Verdict.FAIL not in {row.verdict for row in rows}
    assert run_command_line(["check", "history", str(path), "--chart", str(chart)]) == 3
    said = capsys.readouterr().out
    assert "training model1 drifted by +3" in said
    assert "over 7 commits, from commit0 to commit6; its largest step is +" in said
    assert chart.read_text().startswith("<?xml")


def test_a_steady_history_is_green(tmp_path: Path) -> None:
    written(tmp_path / "steady", [0.0] * 8)
    assert report(drifts(read_history(tmp_path / "steady")), 0.05)[0] is ExitCode.PASS


def entry(base: str, commit: str, log: float, error: float = 0.01, day: int = 1) -> Entry:
    return Entry(commit, base, f"2026-01-{day:02d}T00:00:00+01:00", "any", {"w": Ratio(log, error, 10)})


def test_levels_weigh_every_pair_by_how_surely_it_is_known() -> None:
    """a to c directly says 0.30, by b it says 0.20; the three edges are as sure, so a third of the gap goes to each."""
    [drift] = drifts([entry("a", "b", 0.1, day=1), entry("b", "c", 0.1, day=2), entry("a", "c", 0.3, day=3)])
    assert drift.commits == ("a", "b", "c")
    assert drift.levels == pytest.approx((0.0, 0.1 + 0.1 / 3, 0.3 - 0.1 / 3))
    assert drift.errors[-1] == pytest.approx(0.01 * math.sqrt(2 / 3))


def test_the_step_is_named_and_the_intervals_of_a_drift_and_of_its_step_cover() -> None:
    generator = np.random.default_rng(0)
    rises = np.array([0.01, 0.01, 0.12, 0.01, 0.01])
    drift_covered: list[bool] = []
    step_covered: list[bool] = []
    for _ in range(1000):
        logs = rises[:, None] + generator.normal(0, SD, (5, PAIRS))
        entries = [
            entry(f"{n}", f"{n + 1}", float(own.mean()), float(own.std(ddof=1)) / math.sqrt(PAIRS), n + 1)
            for n, own in enumerate(logs)
        ]
        [drift] = drifts(entries)
        assert drift.step == "3"
        for covered, true, found in (
            (drift_covered, rises.sum(), drift.change),
            (step_covered, rises[2], drift.step_change),
        ):
            covered.append(bool(found[1] <= math.expm1(true) <= found[2]))
    assert np.mean(drift_covered) == pytest.approx(0.95, abs=0.02)
    assert np.mean(step_covered) == pytest.approx(0.95, abs=0.02)


def test_commits_that_no_pair_joins_to_the_last_are_left_out() -> None:
    [drift] = drifts([entry("x", "y", 5.0), entry("a", "b", 0.1, day=2)])
    assert drift.commits == ("a", "b")


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "7", '{"schema": 1}', '{"schema": 9}', "null"],
)
def test_a_line_that_is_none_is_named(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history"
    written(path, [0.0])
    with path.open("a") as file:
        file.write(line + "\n")
    assert run_command_line(["check", "history", str(path)]) == 2
    assert "line 2 is not what `--history` writes" in capsys.readouterr().err


def test_a_line_after_half_a_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("{half")
    written(path, [0.0])
    half, whole = path.read_text().splitlines()
    assert half == "{half"
    assert json.loads(whole)["rows"]["training model1"]["n"] == PAIRS
