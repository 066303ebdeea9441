"""What cells cost: sizes from their trials' rows, speeds from timing samples of one machine and one code."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.plan.cells import Cell
from bench.plan.factors import FACTORS, written_levels
from bench.report.evidence import Evidence
from bench.report.stats.estimate import Estimate, ratio

_NETWORK = [factor.name for factor in FACTORS if factor.changes_network]


@dataclass(frozen=True, slots=True)
class Cost:
    """A cell's network. MACs are of one forward pass of one image; speeds are medians in images/s with one thread
    (latency in seconds an image), NaN where nothing was timed."""

    parameters: int
    macs: int
    receptive_field: int
    train_speed: float
    inference_speed: float
    latency: float


@dataclass(frozen=True, slots=True)
class CostDifference:
    """A cell's cost against its baseline's: differences of sizes, ratios of speeds (above 1 is faster).

    A speed ratio is of rounds that timed both, and None without two of them.
    """

    parameters: int
    macs: int
    train_speed: Estimate | None
    inference_speed: Estimate | None


class Costs:
    """The costs of one report's cells."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._samples = _one_machine(evidence)
        self._known: dict[tuple[Cell, str], pd.Series[float]] = {}

    @property
    def machine(self) -> str | None:
        """The machine that the speeds were taken on."""
        return None if self._samples.empty else str(self._samples["machine"].iloc[0])

    def of(self, cell: Cell) -> Cost:
        """The cost of a cell with a done trial."""
        row = self._evidence.rows(cell).iloc[-1]
        return Cost(
            parameters=int(row["parameters"]),
            macs=int(row["macs"]),
            receptive_field=int(row["receptive_field"]),
            train_speed=self._median_speed(cell, "train"),
            inference_speed=self._median_speed(cell, "inference"),
            latency=1 / self._median_speed(cell, "latency"),
        )

    def difference(self, cell: Cell, baseline: Cell) -> CostDifference:
        """`cell` against `baseline`."""
        own, other = self.of(cell), self.of(baseline)
        return CostDifference(
            parameters=own.parameters - other.parameters,
            macs=own.macs - other.macs,
            train_speed=self._speed_ratio(cell, baseline, "train"),
            inference_speed=self._speed_ratio(cell, baseline, "inference"),
        )

    def _speeds(self, cell: Cell, metric: str) -> "pd.Series[float]":
        """Images/s by (run, round)."""
        if (cell, metric) not in self._known:
            self._known[cell, metric] = self._measure(cell, metric)
        return self._known[cell, metric]

    def _measure(self, cell: Cell, metric: str) -> "pd.Series[float]":
        written = written_levels(cell.levels)
        columns = [*_NETWORK, "augmentation"] if metric == "train" else _NETWORK
        chosen = (self._samples["metric"] == metric) & (self._samples["architecture"] == cell.architecture)
        for column in columns:
            chosen &= self._samples[column] == written[column]
        rows = self._samples[chosen].drop_duplicates(["run", "round"]).set_index(["run", "round"]).sort_index()
        return rows["images"] / rows["seconds"]

    def _median_speed(self, cell: Cell, metric: str) -> float:
        speeds = self._speeds(cell, metric)
        return float(speeds.median()) if len(speeds) else math.nan

    def _speed_ratio(self, cell: Cell, baseline: Cell, metric: str) -> Estimate | None:
        own, other = self._speeds(cell, metric), self._speeds(baseline, metric)
        shared = own.index.intersection(other.index)
        return ratio(own[shared].to_numpy(), other[shared].to_numpy()) if len(shared) > 1 else None


def _one_machine(evidence: Evidence) -> pd.DataFrame:
    """The samples of the protocol's code, on the machine that timed the most networks; a batch counts for training."""
    samples, protocol = evidence.timings, evidence.protocol
    fitting = samples[
        (samples["code"] == protocol["code"])
        & (samples["optimizer"] == protocol["optimizer"])
        & (samples["precision"] == protocol["precision"])
        & (samples["device"] == protocol["device"])
        & ((samples["metric"] != "train") | (samples["batch_size"] == protocol["batch_size"]))
    ]
    if fitting.empty:
        return fitting
    counts = fitting.groupby("machine", sort=True).size()
    busiest = counts.index[int(np.argmax(counts.to_numpy()))]
    chosen: pd.DataFrame = fitting[fitting["machine"] == busiest]
    return chosen
