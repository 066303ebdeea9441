"""`bench check quality`: the rule, its power, and real trainings against baselines that were tampered with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.check.baseline import baseline_path, read_baseline, write_baseline
from bench.check.output import markdown
from bench.check.paired import Margins, compare_cell, compare_mean
from bench.check.power import Difference, difference, judge, plan_seeds, seeds_needed
from bench.check.quality import check_plan, planned_seeds, train_baseline
from bench.check.verdict import CheckRow, ExitCode, Verdict
from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import preset_cell
from bench.plan.checks import Plan
from bench.plan.factors import level_of
from bench.plan.protocol import Protocol
from bench.record.schema import QualityRow
from bench.run.serial import Serial
from bench.studies.checks import CHECKS

RESULTS = Path(__file__).parent.parent / "results"
IMAGES = 899

# Model 3 in one epoch: accuracies mean little, but they are the same each time.
TINY = Plan((preset_cell("model3"),), Protocol("digits", epochs=1), seeds=2, margin=0.03, loss_margin=0.3)


def last_verdict(differences: Sequence[np.ndarray], margin: float, seeds: int) -> Verdict:
    """What one or two measures say in the end, each a seed's gains: what a batch of seeds leaves open is judged again
    with a second batch, the first among its seeds."""
    for n in (seeds, 2 * seeds):
        found = [judge(difference(list(gains[:n]), margin, 1 / IMAGES)) for gains in differences]
        verdict = next(one for one in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if one in found)
        if verdict is not Verdict.INCONCLUSIVE:
            break
    return verdict


def verdict_shares(
    true: float, sd: float, seeds: int, margin: float, checks: int = 2000, measures: int = 1
) -> dict[Verdict, float]:
    """How often each verdict is the last one, where the true gain of every measure is `true`."""
    generator = np.random.default_rng(0)
    verdicts = [
        last_verdict(generator.normal(true, sd, (measures, 2 * seeds)), margin, seeds)  # type: ignore[arg-type]
        for _ in range(checks)
    ]
    return {verdict: verdicts.count(verdict) / checks for verdict in Verdict}


@pytest.mark.parametrize("direction", [-1, 1], ids=["worse", "better"])
def test_the_rule_does_what_the_power_calculation_says(direction: int) -> None:
    margin, seed_sd, seeds = 0.03, 0.0124, 5
    planned = plan_seeds(margin, seed_sd, seeds)
    unchanged = verdict_shares(0.0, planned.sd, seeds, margin)
    twice = verdict_shares(2 * direction * margin, planned.sd, seeds, margin)
    assert planned.power - 0.02 <= unchanged[Verdict.PASS] <= planned.power + 0.05
    assert planned.found - 0.02 <= twice[Verdict.FAIL] <= planned.found + 0.05
    assert unchanged[Verdict.FAIL] < 0.002
    assert twice[Verdict.PASS] < 0.002


@pytest.mark.parametrize("direction", [-1, 1], ids=["worse", "better"])
@pytest.mark.parametrize("measures", [1, 2], ids=["accuracy", "accuracy and loss"])
def test_at_the_margin_both_looks_together_are_wrong_at_most_one_time_in_twenty(direction: int, measures: int) -> None:
    """Worst for a fail are two measures that have nothing to do with one another, for a pass one that is alone."""
    shares = verdict_shares(0.03 * direction, 0.0175, 5, 0.03, checks=3000, measures=measures)
    for verdict in (Verdict.PASS, Verdict.FAIL):
        assert shares[verdict] <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 3000)
    assert shares[Verdict.FAIL] > 0.01


def test_seeds_needed_is_the_fewest_with_the_power() -> None:
    needed = seeds_needed(0.03, 0.0175)
    assert least_power(needed) >= 0.8
    assert least_power(needed - 1) < 0.8


def least_power(seeds: int) -> float:
    planned = plan_seeds(0.03, 0.0175 / np.sqrt(2), seeds)
    return min(planned.power, planned.found)


def test_equal_differences_are_not_believed_beyond_one_image() -> None:
    measured: Difference = difference([-0.01, -0.01], 0.01, 1 / IMAGES)
    assert measured.low < measured.interval.low < measured.interval.change < measured.interval.high < measured.high
    assert judge(measured) is Verdict.INCONCLUSIVE


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


def test_the_plan_on_digits_has_every_level_of_every_factor_on_few_cells() -> None:
    cells = CHECKS["digits"]().cells
    for factor in catalogue().factors:
        assert factor.is_open or {level_of(cell.levels, factor) for cell in cells} == set(factor.levels)
    assert {cell.architecture for cell in cells} == set(catalogue().models)
    assert len(set(cells)) == len(cells) <= 7


def a_row(seed: int, accuracy: float, loss: float | None = 0.2, vectors: str | None = "avx2") -> QualityRow:
    return QualityRow("digits", "model3", {}, 1, 64, "sgd", 0.1, "fp32", seed, accuracy, loss, "key", vectors, "2.14.1")


def side(accuracies: Sequence[float], loss: float | None = 0.2, vectors: str | None = "avx2") -> dict[int, QualityRow]:
    return {seed: a_row(seed, value, loss, vectors) for seed, value in enumerate(accuracies)}


MARGINS = Margins(0.03, 0.1, IMAGES, 0.1)


def test_a_network_that_collapsed_fails_by_itself_unless_it_always_did() -> None:
    there = side([0.97, 0.96, 0.97, 0.96, 0.11])
    row = compare_cell("a", side([0.97, 0.96, 0.1, 0.96, 0.1]), there, range(5), MARGINS)
    assert row.verdict is Verdict.FAIL
    assert row.message.startswith("seeds 2 collapsed: no better than guessing (up to 12.0")
    assert compare_cell("a", there, there, range(5), MARGINS).verdict is Verdict.PASS


def test_the_loss_is_judged_beside_the_accuracy() -> None:
    there = side([0.97, 0.96, 0.97, 0.96, 0.97])
    row = compare_cell("a", side([0.97, 0.96, 0.97, 0.96, 0.97], loss=0.4), there, range(5), MARGINS)
    assert row.verdict is Verdict.FAIL
    assert "test loss +0.200 (+0.200 to +0.200): worse by more than the margin of 0.1" in row.message
    older = side([0.97, 0.96, 0.97, 0.96, 0.97], loss=None)
    assert compare_cell("a", there, older, range(5), MARGINS).verdict is Verdict.PASS


def test_another_machine_is_said_and_no_changed_tree() -> None:
    here = side([0.971, 0.961, 0.969, 0.961, 0.97])
    there = side([0.97, 0.96, 0.97, 0.96, 0.97], vectors="avx512")
    row = compare_cell("a", here, there, range(5), MARGINS)
    assert (row.verdict, "not the same bits expected" in row.message) == (Verdict.PASS, True)
    assert "(avx512 and torch 2.14.1, here avx2 and 2.14.1)" in row.message
    alike = compare_cell("a", here, side([0.97, 0.96, 0.97, 0.96, 0.97]), range(5), MARGINS)
    assert (alike.verdict, "this tree trains otherwise" in alike.message) == (Verdict.PASS, True)
    unsaid = compare_cell("a", here, side([0.97, 0.96, 0.97, 0.96, 0.97], vectors=None), range(5), MARGINS)
    assert "the baseline doesn't say on which kind of machine" in unsaid.message


def test_a_small_change_of_all_cells_is_seen_in_their_mean_alone() -> None:
    """As an evaluation on training images, which gains one or two points."""
    generator = np.random.default_rng(0)
    cells = [
        (side(list(values + 0.018 + generator.normal(0, 0.004, 10))), side(list(values)))
        for values in generator.normal(0.95, 0.01, (6, 10))
    ]
    alone = [compare_cell("a", here, there, range(10), MARGINS) for here, there in cells]
    assert {row.verdict for row in alone} == {Verdict.PASS}
    row = compare_mean("all", cells, range(10), MARGINS)
    assert row.verdict is Verdict.FAIL
    assert "surely better" in row.message


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
    """A baseline from before there was a loss in it, whose seeds reached that much more than they do here."""
    return [replace(row, test_accuracy=row.test_accuracy + by[row.seed], test_loss=None) for row in rows]


def checked(baseline: Sequence[QualityRow]) -> CheckRow:
    [row] = checks(TINY, baseline)
    return row


def checks(plan: Plan, baseline: Sequence[QualityRow]) -> list[CheckRow]:
    with in_this_process():
        return check_plan(plan, baseline, Path("unused"), workers=1)


def test_a_rerun_passes_outright(tiny_rows: list[QualityRow]) -> None:
    row = checked(tiny_rows)
    assert row.verdict is Verdict.PASS
    assert row.message == "all 2 accuracies and losses are the baseline's"
    older = [replace(one, test_loss=None, vectors=None, torch=None) for one in tiny_rows]
    assert checked(older).message == "all 2 accuracies are the baseline's"


def test_a_baseline_of_before_reads_as_without_loss_and_machine(tiny_rows: list[QualityRow], tmp_path: Path) -> None:
    write_baseline(tmp_path, QualityRow, tiny_rows)
    assert read_baseline(tmp_path, QualityRow) == tiny_rows
    path = baseline_path(tmp_path, QualityRow)
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    kept = [at for at, name in enumerate(header) if name not in {"test_loss", "vectors", "torch"}]
    path.write_text("".join(",".join(line[at] for at in kept) + "\n" for line in (header, *lines)))
    older = [replace(row, test_loss=None, vectors=None, torch=None) for row in tiny_rows]
    assert read_baseline(tmp_path, QualityRow) == older


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
    with using(replace(catalogue(), checks={"digits": lambda: TINY, "mnist": CHECKS["mnist"]})):
        with in_this_process():
            assert run_command_line([*command, "--update"]) == 0
        assert "4 new, 0 gone" in capsys.readouterr().out
        assert run_command_line(command) == 0
        assert "margin 3 points" in capsys.readouterr().out
        better = shifted(read_baseline(tmp_path, QualityRow), [0.06] * 4)
        write_baseline(tmp_path, QualityRow, [*better, replace(better[0], dataset="mnist")])
        with in_this_process():
            assert run_command_line([*command, "--data-dir", str(tmp_path)]) == 3
        assert f"mnist: not checked, because its files are not in {tmp_path}." in capsys.readouterr().out
    assert not list(tmp_path.glob("digits/*"))


def test_an_unknown_data_set_is_answered_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["check", "quality", "--dataset", "minst"]) == 2
    assert "did you mean mnist" in capsys.readouterr().err
