"""Whether a precision changes the answer: the same cells and seeds, trained in two precisions."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.cells import Cell
from bench.report.evidence import Evidence
from bench.report.stats.estimate import Estimate, estimate
from bench.report.stats.verdict import Verdict, judge

REFERENCE = "fp32"

# A precision whose mean accuracy lies surely within 0.10 points of the reference's is taken to give the same answer.
MARGIN = 0.001

# The headline is the last epoch. At a rate that doesn't fall a network still moves from epoch to epoch, which is noise
# to this question, and a mean over some epochs has less of it.
_LAST_EPOCHS = (1, 5)


@dataclass(frozen=True, slots=True)
class PrecisionEffect:
    """One cell in a precision and in the reference, fp32, on the same seeds.

    Accuracies are fractions, each trial's mean over its last `epochs` epochs.
    """

    cell: Cell
    precision: str
    epochs: int
    accuracy: float
    reference: float
    difference: Estimate
    verdict: Verdict


def precision_effects(evidence: Evidence) -> Iterator[PrecisionEffect]:
    """For each cell and other precision that share a seed with the reference, one over the last epoch and one over the
    last five, in the order of the cells."""
    others = evidence.other_precisions
    if others.empty:
        return
    shared = evidence.trials[evidence.trials["cell"].isin(others["cell"])]
    trials = pd.concat([shared, others])[["trial", "cell", "seed", "precision"]]
    rows = pd.concat([evidence.epochs, evidence.other_epochs])[["trial", "epoch", "test_accuracy"]]
    rows = rows.merge(trials, on="trial")
    from_end = rows.groupby("trial")["epoch"].transform("max") - rows["epoch"]
    tables = []
    for epochs in _LAST_EPOCHS:
        means = rows[from_end < epochs].groupby(["cell", "seed", "precision"])["test_accuracy"].mean().unstack()
        tables.append({str(label): of_cell.droplevel("cell") for label, of_cell in means.groupby("cell")})
    for cell in evidence.cells:
        for epochs, by_cell in zip(_LAST_EPOCHS, tables, strict=True):
            if cell.label in by_cell:
                yield from _effects(cell, epochs, by_cell[cell.label].dropna(axis="columns", how="all"))


def _effects(cell: Cell, epochs: int, accuracies: pd.DataFrame) -> Iterator[PrecisionEffect]:
    """`accuracies` has a row per seed and a column per precision."""
    if REFERENCE not in accuracies:
        return
    for precision in accuracies.columns.drop(REFERENCE):
        pairs = accuracies[[precision, REFERENCE]].dropna()
        if pairs.empty:
            continue
        difference = estimate((pairs[precision] - pairs[REFERENCE]).to_numpy(dtype=float))
        yield PrecisionEffect(
            cell=cell,
            precision=str(precision),
            epochs=epochs,
            accuracy=float(pairs[precision].mean()),
            reference=float(pairs[REFERENCE].mean()),
            difference=difference,
            verdict=judge(difference, MARGIN),
        )
