"""`bench check quality`: the rule, its power, and real trainings against baselines that were tampered with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.check.baseline import read_baseline, write_baseline
from bench.check.output import markdown
from bench.check.power import difference, judge, plan_seeds, seeds_needed
from bench.check.quality import check_quality, planned_seeds, train_baseline
from bench.check.verdict import CheckRow, ExitCode, Verdict
from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import preset_cell
from bench.plan.checks import Plan
from bench.plan.protocol import Protocol
from bench.record.schema import QualityRow
from bench.run.serial import Serial
from bench.studies.checks import CHECKS

RESULTS = Path(__file__).parent.parent / "results"
IMAGES = 899

# Model 3 in one epoch: accuracies mean little, but they are the same each time.
TINY = Plan((preset_cell("model3"),), Protocol("digits", epochs=1), seeds=2, margin=0.03)


def verdict_shares(true_loss: float, sd: float, seeds: int, margin: float, checks: int = 2000) -> dict[Verdict, float]:
    """How often each verdict is the last one: what a batch of seeds leaves open is judged again with a second batch,
    the first among its seeds."""
    generator = np.random.default_rng(0)
    verdicts = []
    for _ in range(checks):
        run = list(generator.normal(-true_loss, sd, 2 * seeds))
        first, both = (judge(difference(run[:n], [0.0] * n, margin, IMAGES)) for n in (seeds, 2 * seeds))
        verdicts.append(both if first is Verdict.INCONCLUSIVE else first)
    return {verdict: verdicts.count(verdict) / checks for verdict in Verdict}


def test_the_rule_does_what_the_power_calculation_says() -> None:
    margin, seed_sd, seeds = 0.03, 0.0124, 5
    planned = plan_seeds(margin, seed_sd, seeds)
    unchanged = verdict_shares(0.0, planned.sd, seeds, margin)
    twice = verdict_shares(2 * margin, planned.sd, seeds, margin)
    assert planned.power - 0.02 <= unchanged[Verdict.PASS] <= planned.power + 0.05
    assert planned.power - 0.02 <= twice[Verdict.FAIL] <= planned.power + 0.05
    assert unchanged[Verdict.FAIL] < 0.002
    assert twice[Verdict.PASS] < 0.002


def test_a_loss_at_the_margin_passes_and_fails_one_time_in_twenty_in_both_looks_together() -> None:
    shares = verdict_shares(0.03, 0.0175, 5, 0.03, checks=4000)
    for verdict in (Verdict.PASS, Verdict.FAIL):
        assert 0.03 < shares[verdict] <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4000)


def test_seeds_needed_is_the_fewest_with_the_power() -> None:
    needed = seeds_needed(0.03, 0.0175)
    assert plan_seeds(0.03, 0.0175 / np.sqrt(2), needed).power >= 0.8
    assert plan_seeds(0.03, 0.0175 / np.sqrt(2), needed - 1).power < 0.8


def test_equal_differences_are_not_believed_beyond_one_image() -> None:
    interval = difference([0.90, 0.91], [0.91, 0.92], 0.01, IMAGES)
    assert interval.low < interval.change < interval.high
    assert judge(interval) is Verdict.INCONCLUSIVE


def test_the_committed_baseline_has_both_batches_and_enough_seeds() -> None:
    baseline = read_baseline(RESULTS, QualityRow)
    assert {row.dataset for row in baseline} <= set(CHECKS)
    for dataset in {row.dataset for row in baseline}:
        plan = CHECKS[dataset]()
        own = [row for row in baseline if row.dataset == dataset]
        assert len(own) == 2 * plan.seeds * len(plan.cells)
        planned = planned_seeds(plan, own)
        assert planned is not None
        assert planned.needed <= plan.seeds


@pytest.fixture(scope="module")
def tiny_rows() -> list[QualityRow]:
    with in_this_process():
        return train_baseline(TINY, Path("unused"), workers=1)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Trials are trained here, which gives the same bits and saves a process each time; the command's test has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.check.quality.LocalPool", lambda _workers, data: Serial(data))
        yield


def shifted(rows: Sequence[QualityRow], by: Sequence[float]) -> list[QualityRow]:
    """A baseline whose seeds reached that much more than they do here."""
    return [replace(row, test_accuracy=row.test_accuracy + by[row.seed]) for row in rows]


def checked(baseline: Sequence[QualityRow]) -> CheckRow:
    [row] = checks(TINY, baseline)
    return row


def checks(plan: Plan, baseline: Sequence[QualityRow]) -> list[CheckRow]:
    with in_this_process():
        return check_quality(plan, baseline, Path("unused"), workers=1)


def test_a_rerun_passes_outright(tiny_rows: list[QualityRow]) -> None:
    row = checked(tiny_rows)
    assert row.verdict is Verdict.PASS
    assert row.message == "all 2 accuracies are the baseline's"


def test_a_loss_of_twice_the_margin_fails_and_is_named(tiny_rows: list[QualityRow]) -> None:
    row = checked(shifted(tiny_rows, [0.06, 0.061, 0.06, 0.06]))
    assert row.verdict is Verdict.FAIL
    assert row.name == "digits model3"
    assert "worse by more than the margin of 3" in row.message


def test_a_sure_gain_is_said_and_fails_beyond_the_margin(tiny_rows: list[QualityRow]) -> None:
    small = checked(shifted(tiny_rows, [-0.02, -0.021, -0.02, -0.02]))
    large = checked(shifted(tiny_rows, [-0.06, -0.061, -0.06, -0.06]))
    unsure = checked(shifted(tiny_rows, [-0.02, 0.02, -0.001, -0.001]))
    assert (small.verdict, large.verdict, unsure.verdict) == (Verdict.PASS, Verdict.FAIL, Verdict.PASS)
    assert ["surely better" in row.message for row in (small, large, unsure)] == [True, True, False]
    many = [replace(unsure, name=str(number)) for number in range(30)]
    assert "surely better" in markdown([*many, small], [], ExitCode.PASS)


def test_the_second_batch_settles_what_the_first_leaves_open(tiny_rows: list[QualityRow]) -> None:
    row = checked(shifted(tiny_rows, [0.02, -0.02, 0.001, 0.001]))
    assert row.verdict is Verdict.PASS
    assert "over 4 seeds" in row.message
    assert len(row.samples["here"]) == 4


def test_there_is_no_third_batch(tiny_rows: list[QualityRow]) -> None:
    row = checked(shifted(tiny_rows, [0.1, -0.1, 0.1, -0.1]))
    assert row.verdict is Verdict.INCONCLUSIVE


def test_a_cell_is_new_or_missing_where_one_side_lacks_it(tiny_rows: list[QualityRow]) -> None:
    assert checked([]).verdict is Verdict.NEW
    assert checked([replace(row, epochs=2) for row in tiny_rows]).verdict is Verdict.NEW
    assert checked(tiny_rows[:1]).verdict is Verdict.MISSING
    assert checked(tiny_rows[:3]).message == "the baseline lacks seeds 3"
    gone = replace(tiny_rows[0], architecture="model0")
    [row, stranger] = checks(TINY, [*tiny_rows, gone])
    assert (row.verdict, stranger.verdict) == (Verdict.PASS, Verdict.MISSING)
    assert stranger.name.startswith("digits model0 batch_norm=on")


def test_a_diverged_trial_fails(tiny_rows: list[QualityRow]) -> None:
    hot = replace(TINY, protocol=replace(TINY.protocol, lr=1e30))
    baseline = [replace(row, lr=1e30) for row in tiny_rows]
    [row] = checks(hot, baseline)
    assert row.verdict is Verdict.FAIL
    assert "diverged" in row.message


def test_the_command_updates_then_passes_then_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["check", "quality", "--results", str(tmp_path), "--workers", "1"]
    with using(replace(catalogue(), checks={"digits": lambda: TINY})):
        with in_this_process():
            assert run_command_line([*command, "--update"]) == 0
        assert "4 new, 0 gone" in capsys.readouterr().out
        assert run_command_line(command) == 0
        assert "margin 3 points" in capsys.readouterr().out
        better = shifted(read_baseline(tmp_path, QualityRow), [0.06] * 4)
        write_baseline(tmp_path, QualityRow, better)
        with in_this_process():
            assert run_command_line(command) == 3
    assert not list(tmp_path.glob("digits/*"))


def test_an_unknown_data_set_is_answered_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["check", "quality", "--dataset", "minst"]) == 2
    assert "did you mean mnist" in capsys.readouterr().err
