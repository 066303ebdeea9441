"""Learning curves over seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.cells import Cell
from bench.report.evidence import Evidence
from bench.report.stats.estimate import Estimate, estimate

THRESHOLD = 0.99


@dataclass(frozen=True)
class Curve:
    """A cell's curve. `points` is indexed by epoch with columns test, low, high (mean test accuracy and its 95 %
    interval), train (mean training accuracy, on distorted images while training) and lr (at the epoch's start);
    `seeds` has the test accuracy of each seed in a column of its own. `epochs_to_99` is over the seeds that reached
    99 %, None where none did."""

    cell: Cell
    points: pd.DataFrame
    seeds: pd.DataFrame
    epochs_to_99: Estimate | None

    @property
    def n(self) -> int:
        """How many seeds."""
        return self.seeds.shape[1]


def learning_curves(evidence: Evidence) -> Iterator[Curve]:
    """One per cell that has epochs recorded, in the order of the evidence's cells."""
    named = evidence.epochs.merge(evidence.trials[["trial", "cell", "seed"]], on="trial")
    by_cell = {str(label): rows for label, rows in named.groupby("cell", sort=False)}
    for cell in evidence.cells:
        if cell.label not in by_cell:
            continue
        rows = by_cell[cell.label]
        seeds = rows.pivot(index="epoch", columns="seed", values="test_accuracy")
        estimates = [estimate(values.dropna().to_numpy(dtype=float)) for _, values in seeds.iterrows()]
        means = rows.groupby("epoch")[["train_accuracy", "lr"]].mean()
        points = pd.DataFrame(
            {
                "test": [e.mean for e in estimates],
                "low": [e.low if e.has_interval else e.mean for e in estimates],
                "high": [e.high if e.has_interval else e.mean for e in estimates],
                "train": means["train_accuracy"],
                "lr": means["lr"],
            },
            index=seeds.index,
        )
        above = seeds >= THRESHOLD
        reached = above.idxmax()[above.any()].to_numpy(dtype=float)
        yield Curve(cell, points, seeds, estimate(reached) if len(reached) else None)
