"""What readouts of the same trainings are worth, and ensembles of seeds: asked of the evidence, computed once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.plan.cells import Cell
from bench.plan.readouts import LAST, READOUTS
from bench.record.classes import unpacked_classes
from bench.report.evidence import Evidence
from bench.report.stats.ensembles import Ensembles, ensembles
from bench.report.stats.estimate import Estimate, estimate

# Fewer seeds make no ensemble.
_FEWEST = 2

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


@dataclass(frozen=True)
class EnsembleResult:
    """Ensembles of one cell's seeds, by size, of `parameters` a member."""

    cell: Cell
    readout: str
    by_size: tuple[Ensembles, ...]
    parameters: int


def readout_results(evidence: Evidence) -> Iterator[ReadoutResult]:
    """Of each cell whose trainings were read out, each readout that has rows, the last weights first."""
    for cell in evidence.cells:
        rows = _of(evidence, cell)
        if set(rows["readout"]) <= {LAST}:
            continue
        for name in READOUTS:
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


def ensemble_results(evidence: Evidence) -> Iterator[EnsembleResult]:
    """Of each cell with the probabilities of two seeds or more, ensembles of the last weights."""
    labels = _labels(evidence)
    if labels is None:
        return
    for cell in evidence.cells:
        trials = evidence.rows(cell)
        kept = [evidence.probabilities(str(trial), LAST) for trial in trials["trial"]]
        found = [one for one in kept if one is not None and len(one) == len(labels)]
        if len(found) >= _FEWEST:
            parameters = int(trials["parameters"].iloc[0])
            yield EnsembleResult(cell, LAST, tuple(ensembles(found, labels)), parameters)


def _of(evidence: Evidence, cell: Cell) -> pd.DataFrame:
    return evidence.readouts[evidence.readouts["trial"].isin(evidence.rows(cell)["trial"])]


def _gain(own: pd.DataFrame, last: pd.DataFrame, step: float) -> Estimate | None:
    """Over the trainings that both are of."""
    paired = own.merge(last, on=["trial", "run"], suffixes=("", "_last"))
    if paired.empty:
        return None
    return estimate((paired["accuracy"] - paired["accuracy_last"]).to_numpy(dtype=float), step)


def _labels(evidence: Evidence) -> NDArray[np.int64] | None:
    """The labels of the test images; None where they weren't kept."""
    rows = evidence.labels
    if rows.empty:
        return None
    return unpacked_classes(str(rows["labels"].iloc[0]), int(rows["images"].iloc[0]))
