"""How fast a network trains in several ways, and in multiples of the plain loop, from interleaved samples of one run on
one machine."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.report.report import Report, once
from bench.report.stats.estimate import Estimate, ratio


@dataclass(frozen=True, slots=True)
class Arm:
    """One network, trained in one way: images a second of all processes, the median over rounds.

    `name` is plain, harness or unfused, as in SpeedRow. `loader_workers` is the number of loading processes with which
    the plain loop did best, None for the others. `ratio` is that to the plain loop with them, in the same rounds; 1 for
    the plain loop itself. `flops` are what the network takes for an image, 2 a multiply-accumulate, times images a
    second; `share` what that is of the machine's fp32 peak in the same round, the median. Memory is in bytes, of all
    processes, and `training` what training adds to one. NaN is what wasn't measured.
    """

    name: str
    precision: str
    speed: float
    loader_workers: int | None
    processes: int
    threads: int
    ratio: Estimate
    flops: float
    share: float
    memory: float
    training: float


@dataclass(frozen=True, slots=True)
class Speedup:
    """All ways to train one network that were timed together, the plain loop first. `plain_speeds` are its speeds by
    number of loading processes. `peak_flops` and `copied_bytes`, a second, are what all cores of the machine can do,
    medians over rounds; NaN where it wasn't measured."""

    architecture: str
    plain: Arm
    others: tuple[Arm, ...]
    plain_speeds: tuple[tuple[int, float], ...]
    peak_flops: float
    copied_bytes: float
    machine: str
    code: str

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All of them."""
        return (self.plain, *self.others)

    @property
    def headline(self) -> Arm:
        """The harness in the plain loop's precision; in another where it was not timed in that."""
        return self.others[0]


@once
def newest_speedups(report: Report) -> tuple[Speedup, ...]:
    """Those of the newest run, of the trials' code where there is one."""
    return speedups(report.evidence.speeds, report.evidence.protocol["code"])


def speedups(rows: pd.DataFrame, code: object = None) -> tuple[Speedup, ...]:
    """One per network of the run that `newest_run` takes."""
    return tuple(_speedups(newest_run(rows, code)))


def newest_run(samples: pd.DataFrame, code: object = None) -> pd.DataFrame:
    """The samples that were recorded last, of one run on one machine with one code: `code` where any are of it."""
    fitting = samples[samples["code"] == code]
    candidates = fitting if len(fitting) else samples
    if candidates.empty:
        return candidates
    same = ["run", "machine", "code"]
    chosen: pd.DataFrame = candidates[(candidates[same] == candidates[same].iloc[-1]).all(axis=1)]
    return chosen


def _speedups(rows: pd.DataFrame) -> Iterator[Speedup]:
    rows = rows.assign(speed=rows["images"] / rows["seconds"])
    for (architecture, *_), of_network in rows.groupby(["architecture", *catalogue().step_columns], sort=False):
        plain = of_network[of_network["arm"] == "plain"]
        medians = plain.groupby("loader_workers")["speed"].median()
        by_workers = dict(zip(map(int, medians.index.to_numpy()), map(float, medians), strict=True))
        if not by_workers:
            continue
        best = max(by_workers, key=lambda workers: by_workers[workers])
        theirs = plain[plain["loader_workers"] == best].set_index("round")
        others = [
            _arm(of_arm.set_index("round"), theirs)
            for _, of_arm in of_network[of_network["arm"] != "plain"].groupby(["precision", "arm"], sort=False)
            if set(of_arm["round"]) & set(theirs.index)
        ]
        if not others:
            continue
        precision = str(theirs["precision"].iloc[0])
        others.sort(key=lambda arm: (arm.precision != precision, arm.name != "harness"))
        yield Speedup(
            architecture=str(architecture),
            plain=_arm(theirs, theirs, best),
            others=tuple(others),
            plain_speeds=tuple(by_workers.items()),
            peak_flops=float(of_network["peak_flops"].median()),
            copied_bytes=float(of_network["copied_bytes"].median()),
            machine=str(theirs["machine"].iloc[0]),
            code=str(theirs["code"].iloc[0]),
        )


def _arm(samples: pd.DataFrame, plain: pd.DataFrame, loader_workers: int | None = None) -> Arm:
    """From samples by round; `plain` are the plain loop's."""
    flops = 2 * samples["step_macs"] * samples["speed"]
    rounds = samples.index.intersection(plain.index)
    return Arm(
        name=str(samples["arm"].iloc[0]),
        precision=str(samples["precision"].iloc[0]),
        speed=float(samples["speed"].median()),
        loader_workers=loader_workers,
        processes=int(samples["processes"].iloc[0]),
        threads=int(samples["threads"].iloc[0]),
        ratio=ratio(samples.loc[rounds, "speed"].to_numpy(), plain.loc[rounds, "speed"].to_numpy()),
        flops=float(flops.median()),
        share=float((flops / samples["peak_flops"]).median()),
        memory=_memory(samples),
        training=float(samples["training_bytes"].max()),
    )


def _memory(samples: pd.DataFrame) -> float:
    """Samples without `training_bytes` counted what processes share once for each, and aren't comparable."""
    return float(samples["memory_bytes"].where(samples["training_bytes"].notna()).max())
