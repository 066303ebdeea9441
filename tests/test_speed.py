"""Training speed against the plain loop: measured in real processes, compared round by round."""

import math
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from bench.cli import run_command_line
from bench.errors import BenchError
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import toggles
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.columns import columns
from bench.record.schema import SpeedRow
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts, make_tables
from bench.report.sections.overhead.costs import newest_overheads, overheads
from bench.report.sections.speed import speedup_table
from bench.report.sections.speed.speedups import newest_speedups, speedups
from bench.run.memory import Memory, forget_peak, peak_memory
from bench.run.pool import share_memory
from bench.run.spawning import follow_parent
from bench.run.speed import HARNESS_BATCHES, PLAIN_BATCHES, Arm, compare_speeds, measure_memory
from bench.run.together import Processes, wait_for_the_others
from bench.train import timing
from bench.train.data import Data, Split
from bench.train.fast.activation import Activation
from bench.train.fast.fuse import fuse, switched_off
from bench.train.summary import count_training_macs
from tests.synthetic import write_rows

OF_SPEED = ("speed", "overhead")


def test_the_ratio_is_that_to_the_plain_loops_best_loading(tmp_path: Path) -> None:
    found = speedups(write_rows(tmp_path / "mnist", cells=[], seeds=0).speeds())
    assert [speedup.architecture for speedup in found] == ["model1", "model2", "model3"]
    for speedup in found:
        headline = speedup.headline
        assert speedup.plain.loader_workers == 1
        assert headline.ratio.n == 5
        assert headline.ratio.low < 5 < headline.ratio.high
        assert headline.ratio.high / headline.ratio.low < 1.2
        assert dict(speedup.plain_speeds)[0] < speedup.plain.speed == dict(speedup.plain_speeds)[1]


def test_every_way_to_train_is_told_apart_and_like_is_compared_with_like_first(tmp_path: Path) -> None:
    [speedup, *_] = speedups(write_rows(tmp_path / "mnist", cells=[], seeds=0).speeds())
    assert [(arm.name, arm.precision) for arm in speedup.arms] == [
        ("plain", "fp32"),
        ("harness", "fp32"),
        ("unfused", "fp32"),
        ("harness", "bf16"),
    ]
    assert [round(arm.ratio.mean) for arm in speedup.arms] == [1, 5, 3, 6]
    # 10 MFLOP an image at some 10,000 images a second, of 400 GFLOP/s.
    assert speedup.headline.share == pytest.approx(0.25, rel=0.1)
    assert speedup.headline.flops == pytest.approx(1e11, rel=0.1)
    table = speedup_table((speedup,))
    lines = [dict(zip([column.title for column in table.columns], texts, strict=True)) for texts in table.texts]
    assert [line["precision"] for line in lines] == ["fp32", "fp32", "fp32", "bf16"]
    assert [line["processes x threads"] for line in lines] == ["1 x 2", "2 x 1", "2 x 1", "2 x 1"]
    assert "All cores at once did 400 GFLOP/s" in table.caption


def test_rows_of_one_harness_in_bf16_are_read_as_what_they_are(tmp_path: Path) -> None:
    """As earlier versions wrote them, without what the machine can do."""
    write_rows(tmp_path / "mnist", cells=[], seeds=0)
    path = tmp_path / "mnist" / "speed.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    of_old = rows[(rows["arm"] == "plain") | (rows["precision"] == "bf16")]
    of_old.drop(columns=["step_macs", "peak_flops", "copied_bytes"]).to_csv(path, index=False)
    older = Store(tmp_path / "mnist").speeds()
    [speedup, *_] = speedups(older)
    assert (speedup.headline.precision, round(speedup.headline.ratio.mean)) == ("bf16", 6)
    assert math.isnan(speedup.headline.share)
    assert "GFLOP/s in fp32" not in speedup_table((speedup,)).caption


def test_the_newest_run_counts_and_half_a_comparison_doesnt(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "mnist", cells=[], seeds=0).speeds()
    slower = rows.assign(run="newer", seconds=rows["seconds"] * (1 + (rows["arm"] == "harness")))
    later = pd.concat([rows, slower[slower["architecture"] != "model1"]])
    assert [round(speedup.headline.ratio.mean, 1) for speedup in speedups(later)] == pytest.approx([2.5, 2.5], abs=0.11)
    assert speedups(rows[rows["arm"] == "plain"]) == ()
    assert speedups(rows.iloc[:0]) == ()


@pytest.mark.slow
def test_what_a_run_costs_around_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.run.overhead.COUNTS", (2, 6))
    command = ["speed", "--overhead", "--models", "model3", "--rounds", "2", "--workers", "1"]
    assert run_command_line([*command, "--results", str(tmp_path)]) == 0
    rows = Store(tmp_path / "digits").overheads()
    assert rows["trials"].tolist() == [2, 6, 2, 6]
    assert (rows["seconds"] > 0).all()
    assert not (tmp_path / "digits" / "trials.csv").exists()
    assert [overhead.trials for overhead in overheads(rows)] == [2, 6]
    assert "ms a trial" in capsys.readouterr().out


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain loop of one thread. More of them wait for each other at every layer, which takes for ever where other
    tests run beside this one."""
    monkeypatch.setattr("bench.run.speed.usable_cores", lambda: 1)


@pytest.mark.usefixtures("one_core")
@pytest.mark.slow
def test_both_loops_are_timed_in_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--models model3 --rounds 2 --workers 2 --batch-size 8 --precision fp32"
    assert run_command_line(["speed", *options.split(), "--results", str(tmp_path)]) == 0
    rows = Store(tmp_path / "digits").speeds()
    assert Counter(rows["arm"]) == {"plain": 6, "harness": 2, "unfused": 2}
    assert rows["round"].tolist() == [0] * 5 + [1] * 5
    assert (rows["peak_flops"] > 1e9).all()
    assert (rows["copied_bytes"] > 1e8).all()
    assert (rows["seconds"] > 0).all()
    harness, plain = rows[rows["arm"] == "harness"], rows[rows["arm"] == "plain"]
    assert (harness["processes"] == 2).all()
    assert set(plain["loader_workers"]) == {0, 1, 2}
    assert harness["images"].nunique() == 1
    printed = capsys.readouterr()
    assert "times" in printed.out
    assert "timing 1/14" in printed.err
    assert "timing 14/14" in printed.err


@pytest.mark.slow
@pytest.mark.usefixtures("one_core")
def test_a_stack_counts_every_member_and_steps_outlast_the_schedule(
    few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test above measures memory and has every number of loading processes.
    monkeypatch.setattr("bench.run.speed.measure_memory", lambda *_: {})
    monkeypatch.setattr("bench.run.speed.LOADER_WORKERS", (0,))
    # A one-cycle rate ends after 25 steps here, and there are more to be timed.
    trial = Trial(preset_cell("model3"), 0, Protocol("digits", epochs=1, batch_size=8, precision="fp32"))
    samples = list(compare_speeds([trial], few_digits, workers=1, rounds=1, members=2))
    assert [(sample.arm, sample.images) for sample in samples] == [
        ("plain", PLAIN_BATCHES * 8),
        ("harness", 2 * HARNESS_BATCHES * 8),
        ("unfused", 2 * HARNESS_BATCHES * 8),
    ]
    assert all(sample.peak is not None and sample.peak.flops > 1e9 for sample in samples)


def test_the_steps_of_a_backward_pass_are_counted() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    first, second = 36 * 9 * 4, 4 * 36 * 10
    assert count_training_macs(layers, (1, 8, 8)) == 2 * first + 3 * second
    assert all(parameter.grad is None for parameter in layers.parameters())


def test_without_kernels_a_network_stays_in_torchs_layers() -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())

    with switched_off():
        assert not any(isinstance(module, Activation) for module in fuse(network()).modules())
    assert any(isinstance(module, Activation) for module in fuse(network()).modules())


def fails_in_one(marker: Path) -> None:
    """Whichever process comes first fails, the other waits for it."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        wait_for_the_others()
    raise ValueError("no good")


def dies() -> None:
    os._exit(1)


def test_a_process_that_fails_ends_the_comparison_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match=r"^a process that was to be timed failed: ValueError: no good$"),
        Processes(2, follow_parent) as processes,
    ):
        processes.call(fails_in_one, tmp_path / "marker")


@pytest.mark.slow
def test_so_does_one_that_dies() -> None:
    with (
        pytest.raises(BenchError, match=r"^a process that was to be timed died"),
        Processes(2, follow_parent) as processes,
    ):
        processes.call(dies)


def test_nothing_is_made_that_a_kill_would_leave_in_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(*_: object) -> None:
        raise AssertionError("multiprocessing's locks and queues have names in shared memory")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", named)
    with Processes(2, follow_parent) as processes:
        assert processes.call(wait_for_the_others) == [None, None]


def pictures(side: int) -> Data:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (200, 1, side, side), generator=generator, dtype=torch.uint8)
    split = Split(images, torch.arange(200) % 10)
    return Data("pictures", split, split, classes=10)


needs_proc = pytest.mark.skipif(forget_peak() is None, reason="this system doesn't tell")


@pytest.mark.slow
@needs_proc
def test_larger_maps_take_more_memory_in_both_loops() -> None:
    trial = Trial(preset_cell("model1"), 0, Protocol("digits", precision="fp32"))
    small, large = pictures(28), pictures(84)
    before, after = measure_memory(trial, small, cores=1), measure_memory(trial, large, cores=1)
    # The first convolution alone: 64 images of 16 maps of float32.
    grown = 64 * 16 * 4 * (82**2 - 26**2)
    for arm in (Arm("plain", "fp32", 0), Arm("harness", "fp32")):
        less, more = before[arm], after[arm]
        assert less is not None
        assert more is not None
        assert 0 < less.added < less.own
        assert more.added - less.added > grown
        assert more.own - less.own > grown


def grown_by(data: Data) -> Memory | None:
    """What touching every image of the shared data, and 20 MB of its own, takes."""
    before = forget_peak()
    own = torch.ones(20 * 2**20, dtype=torch.uint8)
    assert data.train.images.max() == own.max()
    del own
    return peak_memory(before)


@needs_proc
def test_shared_data_is_nobodys_own_memory() -> None:
    images = torch.ones(60 * 2**20, dtype=torch.uint8).reshape(60, 1, 1024, 1024)
    split = Split(images, torch.zeros(60, dtype=torch.int64))
    data = Data("large", split, split, classes=10)
    share_memory(data)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        memory = pool.submit(grown_by, data).result()
    assert memory is not None
    assert 18 * 2**20 < memory.added < 40 * 2**20
    assert memory.shared > 60 * 2**20
    assert memory.of_processes(3) == 3 * memory.own + memory.shared


def test_rows_without_what_training_adds_have_no_memory(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "mnist", cells=[], seeds=0).speeds()
    [speedup, *_] = speedups(rows)
    assert (speedup.headline.memory, speedup.headline.training) == (1e9, 2e7)
    [speedup, *_] = speedups(rows.assign(training_bytes=float("nan")))
    assert pd.isna(speedup.headline.memory)
    assert pd.isna(speedup.plain.memory)


def test_a_file_of_an_earlier_version_is_read_and_goes_on(tmp_path: Path) -> None:
    store = write_rows(tmp_path / "mnist", cells=[], seeds=0)
    path, rows = tmp_path / "mnist" / "speed.csv", store.speeds()
    pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns="training_bytes").to_csv(path, index=False)
    older = Store(tmp_path / "mnist").speeds()
    pd.testing.assert_frame_equal(older.drop(columns="training_bytes"), rows.drop(columns="training_bytes"))
    assert older["training_bytes"].isna().all()
    measured = {"loader_workers": 0, "memory_bytes": 2, "training_bytes": 1, "step_macs": 3}
    first = rows.iloc[0]
    row: dict[str, Any] = {name: first[name] for name in columns(SpeedRow, ())} | measured
    levels = {name: first[name] for name in ("batch_norm", "gap", "dropout", "augmentation")}
    Store(tmp_path / "mnist").add_speeds([SpeedRow(**row, levels=levels)])
    assert len(Store(tmp_path / "mnist").speeds()) == len(older) + 1


def test_samples_name_the_one_machine_that_they_are_of(tmp_path: Path) -> None:
    """Those of the report's code count; others' are shown where there are none, and named."""
    folder = tmp_path / "mnist"
    store = write_rows(folder, cells=[preset_cell("model1")], seeds=2)
    for file in ("speed.csv", "overhead.csv"):
        rows = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
        pd.concat([rows, rows.assign(run="later", code="other", machine="m2")]).to_csv(folder / file, index=False)
    machines = pd.read_csv(folder / "machines.csv", dtype=str, keep_default_na=False)
    pd.concat([machines, machines.assign(machine="m2", cpu="Another CPU")]).to_csv(folder / "machines.csv", index=False)
    analysis = Report(gather(store, "mnist"), 0.0005)
    assert {speedup.machine for speedup in newest_speedups(analysis)} == {"m"}
    assert {overhead.code for overhead in newest_overheads(analysis)} == {"c"}
    for caption in captions(analysis):
        assert "Measured on A <made-up> CPU (avx2), 2 cores" in caption
        assert "other training code" not in caption

    for file in ("speed.csv", "overhead.csv"):
        rows = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
        rows[rows["code"] == "other"].to_csv(folder / file, index=False)
    analysis = Report(gather(Store(folder), "mnist"), 0.0005)
    for caption in captions(analysis):
        assert "Measured on Another CPU (avx2), 2 cores" in caption
        assert caption.endswith(", with other training code than the trials'.")


def captions(analysis: Report) -> list[str]:
    found = [table.caption for table in make_tables(analysis) if table.name in OF_SPEED]
    found += [chart.caption for chart in draw_charts(analysis) if chart.name in OF_SPEED]
    assert len(found) == 4
    return found


def test_an_estimate_for_many_networks_times_some(few_digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [Trial(cell, 0, Protocol("digits")) for cell in toggles(["model1", "model3"], catalogue().factors)]
    assert len(trials) > 4
    timed: list[Cell] = []
    task_of = timing._training_task

    def counted(trial: Trial, data: Data, steps: int) -> timing._Task:
        timed.append(trial.cell)
        return task_of(trial, data, steps)

    monkeypatch.setattr(timing, "_training_task", counted)
    monkeypatch.setattr(timing, "MOST_ESTIMATED", 4)
    seconds = timing.seconds_per_image(trials, few_digits)
    assert len(timed) <= 4
    assert set(seconds) == {trial.cell for trial in trials}
    assert min(seconds.values()) > 0
