"""What a run costs around the training, by its number of trials."""

from dataclasses import dataclass

import pandas as pd

from bench.report.report import Report, once
from bench.report.sections.speed.speedups import newest_run
from bench.report.stats.estimate import Estimate, estimate


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds a trial in runs of so many trials, over rounds."""

    trials: int
    processes: int
    seconds: Estimate
    machine: str
    code: str


@once
def newest_overheads(report: Report) -> tuple[Overhead, ...]:
    """Those of the newest run, of the trials' code where there is one."""
    return overheads(report.evidence.overheads, report.evidence.protocol["code"])


def overheads(rows: pd.DataFrame, code: object = None) -> tuple[Overhead, ...]:
    """One per number of trials of the run that `newest_run` takes, in ascending order."""
    return tuple(
        Overhead(
            trials=int(of_count["trials"].iloc[0]),
            processes=int(of_count["processes"].iloc[0]),
            seconds=estimate((of_count["seconds"] / of_count["trials"]).to_numpy()),
            machine=str(of_count["machine"].iloc[0]),
            code=str(of_count["code"].iloc[0]),
        )
        for _, of_count in newest_run(rows, code).groupby("trials", sort=True)
    )
