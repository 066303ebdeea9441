"""Training speed against the plain loop: measured in real processes, compared round by round."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.report.overhead import overheads
from bench.report.speed import speedups
from bench.run.speed import HARNESS_BATCHES, PLAIN_BATCHES, compare_speeds
from bench.train.datasets import DATASETS
from tests.synthetic import write_rows


def test_the_ratio_is_that_to_the_plain_loops_best_loading(tmp_path: Path) -> None:
    found = speedups(write_rows(tmp_path / "mnist", cells=[], seeds=0).speeds())
    assert [speedup.architecture for speedup in found] == ["model1", "model2", "model3"]
    for speedup in found:
        assert speedup.loader_workers == 1
        assert speedup.ratio.n == 5
        assert speedup.ratio.low < 5 < speedup.ratio.high
        assert speedup.ratio.high / speedup.ratio.low < 1.2
        assert dict(speedup.plain_speeds)[0] < speedup.plain_speed == dict(speedup.plain_speeds)[1]


def test_the_newest_run_counts_and_half_a_comparison_doesnt(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "mnist", cells=[], seeds=0).speeds()
    slower = rows.assign(run="newer", seconds=rows["seconds"] * (1 + (rows["arm"] == "harness")))
    later = pd.concat([rows, slower[slower["architecture"] != "model1"]])
    assert [round(speedup.ratio.mean, 1) for speedup in speedups(later)] == pytest.approx([2.5, 2.5], abs=0.11)
    assert speedups(rows[rows["arm"] == "plain"]) == ()
    assert speedups(rows.iloc[:0]) == ()


def test_what_a_run_costs_around_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.run.overhead.COUNTS", (2, 6))
    command = ["speed", "--overhead", "--models", "model3", "--rounds", "2", "--results", str(tmp_path)]
    assert run_command_line(command) == 0
    rows = Store(tmp_path / "digits").overheads()
    assert rows["trials"].tolist() == [2, 6, 2, 6]
    assert (rows["seconds"] > 0).all()
    assert not (tmp_path / "digits" / "trials.csv").exists()
    assert [overhead.trials for overhead in overheads(rows)] == [2, 6]
    assert "ms a trial" in capsys.readouterr().out


def test_both_loops_are_timed_in_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["speed", "--models", "model3", "--rounds", "2", "--workers", "2", "--precision", "fp32"]
    assert run_command_line([*command, "--results", str(tmp_path)]) == 0
    rows = Store(tmp_path / "digits").speeds()
    assert Counter(rows["arm"]) == {"plain": 6, "harness": 2}
    assert rows["round"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (rows["seconds"] > 0).all()
    harness = rows[rows["arm"] == "harness"]
    assert (harness["processes"] == 2).all()
    assert harness["images"].nunique() == 1
    assert "times" in capsys.readouterr().out


def test_a_stack_counts_every_member() -> None:
    trial = Trial(preset_cell("model3"), 0, Protocol("digits", precision="fp32"))
    samples = list(compare_speeds([trial], DATASETS["digits"].load(Path("unused")), workers=1, rounds=1, members=2))
    assert [(sample.arm, sample.images) for sample in samples] == [
        *[("plain", PLAIN_BATCHES * 64)] * 3,
        ("harness", 2 * HARNESS_BATCHES * 64),
    ]
