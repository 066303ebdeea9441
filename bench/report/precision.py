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


@dataclass(frozen=True, slots=True)
class PrecisionEffect:
    """One cell in a precision and in the reference, fp32, on the same seeds. Accuracies are fractions."""

    cell: Cell
    precision: str
    accuracy: float
    reference: float
    difference: Estimate
    verdict: Verdict


def precision_effects(evidence: Evidence) -> Iterator[PrecisionEffect]:
    """One per cell and other precision that share a seed with the reference, in the order of the cells."""
    rows = pd.concat([evidence.trials, evidence.other_precisions])
    for cell in evidence.cells:
        accuracies = rows[rows["cell"] == cell.label].pivot(index="seed", columns="precision", values="test_accuracy")
        for precision in accuracies.columns.drop(REFERENCE, errors="ignore"):
            if REFERENCE not in accuracies:
                continue
            pairs = accuracies[[precision, REFERENCE]].dropna()
            if pairs.empty:
                continue
            difference = estimate((pairs[precision] - pairs[REFERENCE]).to_numpy(dtype=float))
            yield PrecisionEffect(
                cell=cell,
                precision=str(precision),
                accuracy=float(pairs[precision].mean()),
                reference=float(pairs[REFERENCE].mean()),
                difference=difference,
                verdict=judge(difference, MARGIN),
            )
