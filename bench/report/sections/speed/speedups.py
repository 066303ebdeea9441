"""How much faster the harness trains than the plain loop, from interleaved samples of one run on one machine."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.report.report import Report, once
from bench.report.stats.estimate import Estimate, ratio


@dataclass(frozen=True, slots=True)
class Speedup:
    """Images a second of one network in both loops, medians over rounds, and the harness's ratio to the plain loop.

    `loader_workers` is the number of loading processes with which the plain loop did best, which is the one compared.
    Memory is in bytes, of all processes, and `_training` what training adds to one; NaN where it wasn't measured.
    """

    architecture: str
    plain_speed: float
    plain_speeds: tuple[tuple[int, float], ...]
    loader_workers: int
    harness_speed: float
    processes: int
    precision: str
    ratio: Estimate
    plain_memory: float
    harness_memory: float
    plain_training: float
    harness_training: float
    machine: str
    code: str


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
        plain, harness = of_network[of_network["arm"] == "plain"], of_network[of_network["arm"] == "harness"]
        if not set(plain["round"]) & set(harness["round"]):
            continue
        medians = plain.groupby("loader_workers")["speed"].median()
        by_workers = dict(zip(map(int, medians.index.to_numpy()), map(float, medians), strict=True))
        best = max(by_workers, key=lambda workers: by_workers[workers])
        theirs = plain[plain["loader_workers"] == best].set_index("round")
        ours = harness.set_index("round")
        rounds = ours.index.intersection(theirs.index)
        yield Speedup(
            architecture=str(architecture),
            plain_speed=by_workers[best],
            plain_speeds=tuple(by_workers.items()),
            loader_workers=best,
            harness_speed=float(ours["speed"].median()),
            processes=int(ours["processes"].iloc[0]),
            precision=str(ours["precision"].iloc[0]),
            ratio=ratio(ours.loc[rounds, "speed"].to_numpy(), theirs.loc[rounds, "speed"].to_numpy()),
            plain_memory=_memory(theirs),
            harness_memory=_memory(ours),
            plain_training=float(theirs["training_bytes"].max()),
            harness_training=float(ours["training_bytes"].max()),
            machine=str(ours["machine"].iloc[0]),
            code=str(ours["code"].iloc[0]),
        )


def _memory(samples: pd.DataFrame) -> float:
    """Samples without `training_bytes` counted what processes share once for each, and aren't comparable."""
    return float(samples["memory_bytes"].where(samples["training_bytes"].notna()).max())
