"""What readouts of the same trainings are worth."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.cells import Cell
from bench.plan.readouts import LAST, known_readouts
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.estimate import Estimate, estimate

_MEASURES = ("accuracy", "loss", "brier", "calibration_error")


@dataclass(frozen=True)
class ReadoutResult:
    """A readout of a cell's trainings over its seeds: accuracy (a fraction), loss in nats, Brier score and calibration
    error, and how far the accuracy is above that of the last weights of the same trainings; None for these
    themselves."""

    cell: Cell
    readout: str
    accuracy: Estimate
    loss: Estimate
    brier: Estimate
    calibration_error: Estimate
    gain: Estimate | None
    networks: int
    passes: int


@once
def readout_results(report: Report) -> tuple[ReadoutResult, ...]:
    """Of each cell whose trainings were read out, each readout that has rows, the last weights first."""
    return tuple(result for cell in report.evidence.cells for result in _of_cell(report.evidence, cell))


def _of_cell(evidence: Evidence, cell: Cell) -> Iterator[ReadoutResult]:
    rows = _of(evidence, cell)
    if set(rows["readout"]) <= {LAST}:
        return
    for name in known_readouts():
        own = rows[rows["readout"] == name]
        if own.empty:
            continue
        over = {measure: own[measure].to_numpy(dtype=float) for measure in _MEASURES}
        yield ReadoutResult(
            cell=cell,
            readout=name,
            accuracy=estimate(over["accuracy"], evidence.step),
            loss=estimate(over["loss"]),
            brier=estimate(over["brier"]),
            calibration_error=estimate(over["calibration_error"]),
            gain=None if name == LAST else _gain(own, rows[rows["readout"] == LAST], evidence.step),
            networks=int(own["networks"].max()),
            passes=int(own["passes"].max()),
        )


def _of(evidence: Evidence, cell: Cell) -> pd.DataFrame:
    return evidence.readouts[evidence.readouts["trial"].isin(evidence.rows(cell)["trial"])]


def _gain(own: pd.DataFrame, last: pd.DataFrame, step: float) -> Estimate | None:
    """Over the trainings that both are of."""
    paired = own.merge(last, on=["trial", "run"], suffixes=("", "_last"))
    if paired.empty:
        return None
    return estimate((paired["accuracy"] - paired["accuracy_last"]).to_numpy(dtype=float), step)
