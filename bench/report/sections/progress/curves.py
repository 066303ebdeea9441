"""Learning curves over seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.plan.cells import Cell
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.estimate import Estimate, estimate

THRESHOLD = 0.99

_RECORDED = ("test_accuracy", "test_loss", "train_accuracy", "lr")


@dataclass(frozen=True)
class Curve:
    """A cell's curve. `points` is indexed by epoch with columns test, low, high (mean test accuracy and its 95 %
    interval), train (mean training accuracy, on distorted images while training) and lr (at the epoch's start);
    `seeds` has the test accuracy of each seed in a column of its own, `losses` the test loss in nats. `epochs_to_99` is
    over the seeds that reached 99 %, None where none did."""

    cell: Cell
    points: pd.DataFrame
    seeds: pd.DataFrame
    losses: pd.DataFrame
    epochs_to_99: Estimate | None

    @property
    def n(self) -> int:
        """How many seeds."""
        return self.seeds.shape[1]


@once
def learning_curves(report: Report) -> tuple[Curve, ...]:
    """One per cell that has epochs recorded, in the order of the evidence's cells."""
    found = []
    for cell, rows in _by_cell(report.evidence):
        epochs, row = np.unique(rows["epoch"], return_inverse=True)
        seeds, column = np.unique(rows["seed"], return_inverse=True)
        values = {}
        for name in _RECORDED:
            values[name] = np.full((len(epochs), len(seeds)), np.nan)
            values[name][row, column] = rows[name]
        test = values["test_accuracy"]
        estimates = [estimate(of_epoch[~np.isnan(of_epoch)]) for of_epoch in test]
        index = pd.Index(epochs, name="epoch")
        points = pd.DataFrame(
            {
                "test": [e.mean for e in estimates],
                "low": [e.low if e.has_interval else e.mean for e in estimates],
                "high": [e.high if e.has_interval else e.mean for e in estimates],
                "train": np.nanmean(values["train_accuracy"], axis=1),
                "lr": np.nanmean(values["lr"], axis=1),
            },
            index=index,
        )
        above = test >= THRESHOLD
        reached = epochs[above.argmax(axis=0)[above.any(axis=0)]]
        of_seeds, losses = (
            pd.DataFrame(values[name], index=index, columns=pd.Index(seeds, name="seed"))
            for name in ("test_accuracy", "test_loss")
        )
        found.append(Curve(cell, points, of_seeds, losses, estimate(reached) if len(reached) else None))
    return tuple(found)


def preset_curves(report: Report) -> list[Curve]:
    """Those of the presets."""
    return [curve for curve in learning_curves(report) if curve.cell.is_preset]


def _by_cell(evidence: Evidence) -> Iterator[tuple[Cell, dict[str, NDArray[Any]]]]:
    """The columns of each cell's epochs. The rows are sorted by cell once: to look for each cell's would take as many
    passes over all of them."""
    trials, rows = evidence.trials, evidence.epochs
    places = {cell.label: place for place, cell in enumerate(evidence.cells)}
    if trials["trial"].is_unique:
        trial = pd.Index(trials["trial"]).get_indexer(pd.Index(rows["trial"]))
    else:  # cells that are the same but for their names share trials, and so their epochs
        places_of_trials = pd.DataFrame({"trial": trials["trial"], "at": np.arange(len(trials))})
        rows = rows.merge(places_of_trials, on="trial")
        trial = rows["at"].to_numpy()
    cell = np.where(trial >= 0, trials["cell"].map(places).to_numpy(dtype=np.int64)[trial], -1)
    order = np.argsort(cell, kind="stable")
    order = order[np.searchsorted(cell[order], 0) :]
    columns = {name: rows[name].to_numpy()[order] for name in ("epoch", *_RECORDED)}
    columns["seed"] = trials["seed"].to_numpy()[trial[order]]
    found, starts = np.unique(cell[order], return_index=True)
    ends = np.append(starts, len(order))[1:]
    for place, start, end in zip(found, starts, ends, strict=True):
        yield evidence.cells[place], {name: values[start:end] for name, values in columns.items()}
