"""What cells cost: sizes from their trials' rows, speeds from timing samples of one machine and one code."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.plan.catalogue import catalogue, written_levels
from bench.plan.cells import Cell
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.estimate import Estimate, ratio

# Images/s by run and round.
_Speeds = dict[tuple[str, int], float]


@dataclass(frozen=True, slots=True)
class Cost:
    """A cell's network. MACs are of one forward pass of one image; a receptive field that is the whole image is None;
    speeds are medians in images/s with one thread (latency in seconds an image), NaN where nothing was timed."""

    parameters: int
    macs: int
    receptive_field: int | None
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
        samples = _one_machine(evidence)
        self._machine = None if samples.empty else str(samples["machine"].iloc[0])
        self._speeds = _by_network(samples)

    @property
    def machine(self) -> str | None:
        """The machine that the speeds were taken on."""
        return self._machine

    def of(self, cell: Cell) -> Cost:
        """The cost of a cell with a done trial."""
        rows = self._evidence.rows(cell)
        field = float(rows["receptive_field"].iloc[-1])
        return Cost(
            parameters=int(rows["parameters"].iloc[-1]),
            macs=int(rows["macs"].iloc[-1]),
            receptive_field=None if math.isnan(field) else int(field),
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

    def _speeds_of(self, cell: Cell, metric: str) -> _Speeds:
        written = written_levels(cell.levels)
        return self._speeds.get((metric, cell.architecture, *(written[name] for name in _columns(metric))), {})

    def _median_speed(self, cell: Cell, metric: str) -> float:
        speeds = self._speeds_of(cell, metric)
        return float(np.median(list(speeds.values()))) if speeds else math.nan

    def _speed_ratio(self, cell: Cell, baseline: Cell, metric: str) -> Estimate | None:
        own, other = self._speeds_of(cell, metric), self._speeds_of(baseline, metric)
        shared = sorted(own.keys() & other.keys())
        return ratio([own[place] for place in shared], [other[place] for place in shared]) if len(shared) > 1 else None


@once
def costs(report: Report) -> Costs:
    """Those of the report's cells."""
    return Costs(report.evidence)


def _columns(metric: str) -> list[str]:
    """The factors that a speed depends on."""
    return catalogue().step_columns if metric == "train" else catalogue().network_columns


def _by_network(samples: pd.DataFrame) -> dict[tuple[object, ...], _Speeds]:
    """Each network's speeds by metric, architecture and levels; of two samples of a round the first counts."""
    known: dict[tuple[object, ...], _Speeds] = {}
    for metric, of_metric in samples.groupby("metric", sort=False):
        columns = ["architecture", *_columns(str(metric)), "run", "round", "images", "seconds"]
        for *network, run, number, images, seconds in zip(*(of_metric[name] for name in columns), strict=True):
            known.setdefault((metric, *network), {}).setdefault((run, number), images / seconds)
    return known


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
