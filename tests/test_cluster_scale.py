"""What a cluster costs the driver, at sizes that no single machine has. `-s` shows the figures:

python -m pytest tests/test_cluster_scale.py -m "slow or not slow" -s
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import bench.run.cluster
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, trials
from bench.record.store import Store
from bench.run import ray_driver
from bench.run.cluster import RayExecutor
from bench.run.executor import Executor
from bench.run.interrupt import Interrupts
from bench.run.overhead import set_up_only
from bench.run.pool import LocalPool
from bench.run.runner import Run, prepare_run, record
from bench.run.training import train_all
from bench.run.worker import Trained, utc_now
from bench.train.outcome import Epoch, Outcome
from tests.test_cluster import needs_ray, start_cluster

pytestmark = pytest.mark.xdist_group("cluster")

WORKERS = 1000
ACTORS = 4
MEAN_SECONDS = 20.0


def planned(count: int) -> list[Trial]:
    return list(trials([preset_cell("model3")], count, Protocol("digits", epochs=1)))


def driver_memory() -> float:
    """What this process holds now, in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def run_all(run: Run, executor: Executor, planned: Sequence[Trial]) -> tuple[float, list[float], list[Trained]]:
    """Seconds, the driver's memory by trial, and what came back."""
    memory: list[float] = []
    back: list[Trained] = []

    def keep(trained: Trained) -> None:
        record(run, trained)
        memory.append(driver_memory())
        outcome = trained.outcome
        back.append(replace(trained, outcome=outcome and replace(outcome, predicted=())))

    start = time.perf_counter()
    train_all([[trial] for trial in planned], executor, keep, lambda: None, Interrupts())
    return time.perf_counter() - start, memory, back


def check(run: Run, count: int) -> None:
    recorded = run.store.trials()
    assert len(recorded) == count
    assert recorded["trial"].is_unique


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("count", [200, 1000, 10_000])
def test_overhead_of_short_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Trials that are set up, handed over and recorded, but not trained: on a cluster of two CPUs, in two workers."""
    cluster = start_cluster(monkeypatch, 2)
    seconds = {}
    try:
        for name in ("cluster", "pool"):
            run = prepare_run(planned(count + 8), "presets", Path("unused"), tmp_path / name)
            with (
                RayExecutor("auto", run.data, "cpu", train=set_up_only)
                if name == "cluster"
                else LocalPool(2, run.data, set_up_only)
            ) as executor:
                run_all(run, executor, run.trials[:8])
                seconds[name], memory, _ = run_all(run, executor, run.trials[8:])
            check(run, count + 8)
            print(
                f"\n{count:,} trials, {name}: {1000 * seconds[name] / count:.1f} ms a trial; driver "
                f"{memory[count // 5]:.0f} MB after a fifth, {memory[-1]:.0f} MB at the end"
            )
    finally:
        cluster.shutdown()


async def sleep(stack: Sequence[Trial]) -> list[Trained]:
    """Stands in for a node: sleeps 10 to 30 s and says when, in the places of an epoch's seconds and learning rate."""
    [trial] = stack
    begun = time.time()
    await asyncio.sleep(MEAN_SECONDS * random.Random(trial.seed).uniform(0.5, 1.5))
    epoch = Epoch(1, 0.1, 2.3, 0.1, 2.3, begun, time.time() - begun)
    return [Trained(trial, Outcome("done", (epoch,), (0,) * 899, epoch.seconds), None, utc_now(), None)]


class SleepingTasks(ray_driver.Tasks):
    """WORKERS workers, as concurrent calls of a few actors: as many processes would fit in no machine of ours."""

    def prepare(self, *_given: Any) -> None:
        ray = self.ray

        class Sleeper:
            async def train(self, stack: Sequence[Trial]) -> list[Trained]:
                return await sleep(stack)

        kind = ray.remote(num_cpus=0, max_concurrency=WORKERS // ACTORS)(Sleeper)
        self._free = [kind.remote() for _ in range(ACTORS)]
        self._calls = 0

    def begin(self, stack: Sequence[Trial]) -> Any:
        self._calls += 1
        return self._free[self._calls % ACTORS].train.remote(stack)

    def slots(self) -> int:
        super().slots()
        return WORKERS


def drive_sleeping(pipe: Connection, *rest: Any) -> None:
    ray_driver.Tasks = SleepingTasks  # type: ignore[misc]  # in a process of its own
    ray_driver.drive(pipe, *rest)


@needs_ray
@pytest.mark.slow
def test_a_thousand_workers_are_kept_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 trials of 20 s on 1,000 simulated workers: from when all have had their first until none is left to hand
    out, more than 90 % of the workers are at work, and the driver doesn't grow."""
    count = 10_000
    cluster = start_cluster(monkeypatch, 2)
    monkeypatch.setattr(bench.run.cluster, "drive", drive_sleeping)
    try:
        run = prepare_run(planned(count), "presets", Path("unused"), tmp_path)
        with RayExecutor("auto", run.data, "cpu") as executor:
            seconds, memory, back = run_all(run, executor, run.trials)
    finally:
        cluster.shutdown()
    check(run, count)
    assert len(Store(tmp_path / "digits").trials()) == count
    spans = sorted((t.outcome.curve[0].lr, t.outcome.curve[0].seconds) for t in back if t.outcome)
    first, last = spans[WORKERS - 1][0], spans[-1][0]
    busy = sum(max(0.0, min(begun + took, last) - max(begun, first)) for begun, took in spans)
    share = busy / (WORKERS * (last - first))
    whole = sum(took for _, took in spans) / (WORKERS * seconds)
    print(
        f"\n{WORKERS:,} simulated workers, {count:,} trials in {seconds:.0f} s: {share:.1%} busy between the first "
        f"{WORKERS:,} trials' start and the last one's, {whole:.1%} from end to end; driver "
        f"{memory[count // 5]:.0f} MB after a fifth, {memory[-1]:.0f} MB at the end"
    )
    assert share > 0.9
    assert memory[-1] < 1.1 * memory[count // 5] + 50
