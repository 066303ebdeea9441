"""Whether a precision changes the answer: the same cells and seeds, trained in two precisions.

Two questions, both on the last epoch as everywhere in a report: does a cell reach another accuracy, and, which is what
a comparison of techniques hangs on, does a technique have another effect (a difference of differences)?
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell
from bench.plan.factors import level_of
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.sections.effects.measured import switched
from bench.report.sections.effects.questions import toggled
from bench.report.sections.section import Section
from bench.report.show.table import Column, Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import margin_points, percent, points, points_interval
from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import Estimate
from bench.report.stats.verdict import Verdict, judge_family

REFERENCE = "fp32"


@dataclass(frozen=True, slots=True)
class PrecisionEffect:
    """A cell in a precision and in the reference, fp32, or a toggle of a cell in both.

    `cell` is the cell, or the one with the technique; `baseline` the one without, None where a cell's own accuracy is
    meant. `value` and `reference` are the accuracy or the effect in either precision, fractions, and `difference` the
    first minus the second.
    """

    cell: Cell
    baseline: Cell | None
    precision: str
    value: float
    reference: float
    difference: Estimate
    verdict: Verdict


@once
def precision_effects(report: Report) -> list[PrecisionEffect]:
    """For each other precision the cells that were trained in it and in the reference with two seeds or more, and then
    their toggles. The verdicts of the cells are one family, those of the toggles another."""
    evidence = report.evidence
    trained = _by_precision(evidence)
    if REFERENCE not in trained:
        return []
    others = [precision for precision in sorted(trained) if precision != REFERENCE]
    cells = [_of_cell(evidence, trained, precision, cell) for precision in others for cell in evidence.cells]
    toggles = [
        _of_toggle(evidence, trained, precision, treated, baseline)
        for precision in others
        for _, treated, baseline in toggled(evidence.cells)
    ]
    return [judged for family in (cells, toggles) for judged in _judged(family, report.margin)]


def _judged(family: list[PrecisionEffect | None], margin: float) -> Iterator[PrecisionEffect]:
    found = [effect for effect in family if effect is not None]
    judgements = judge_family([effect.difference for effect in found], margin)
    for effect, judgement in zip(found, judgements, strict=True):
        yield replace(effect, verdict=judgement.verdict)


def _by_precision(evidence: Evidence) -> dict[str, dict[str, Values]]:
    """Accuracies by precision, cell's label and seed; one seed alone tells nothing of how surely a cell differs."""
    rows = pd.concat([evidence.trials, evidence.other_precisions])
    found: dict[str, dict[str, Values]] = {}
    for (precision, label), own in rows.groupby(["precision", "cell"]):
        if len(own) >= 2:
            found.setdefault(str(precision), {})[str(label)] = dict(zip(own["seed"], own["test_accuracy"], strict=True))
    return found


def _of_cell(
    evidence: Evidence, trained: dict[str, dict[str, Values]], precision: str, cell: Cell
) -> PrecisionEffect | None:
    arms = [trained[kind].get(cell.label) for kind in (precision, REFERENCE)]
    known = [arm for arm in arms if arm]
    if len(known) < len(arms):
        return None
    difference = contrast((1, -1), aligned(known), evidence.step)
    value, reference = map(_mean, known)
    return PrecisionEffect(cell, None, precision, value, reference, difference, Verdict.INCONCLUSIVE)


def _of_toggle(
    evidence: Evidence, trained: dict[str, dict[str, Values]], precision: str, treated: Cell, baseline: Cell
) -> PrecisionEffect | None:
    arms = [trained[kind].get(cell.label) for kind in (precision, REFERENCE) for cell in (treated, baseline)]
    known = [arm for arm in arms if arm]
    if len(known) < len(arms):
        return None
    difference = contrast((1, -1, -1, 1), aligned(known), evidence.step)
    with_it, without, with_reference, without_reference = map(_mean, known)
    return PrecisionEffect(
        cell=treated,
        baseline=baseline,
        precision=precision,
        value=with_it - without,
        reference=with_reference - without_reference,
        difference=difference,
        verdict=Verdict.INCONCLUSIVE,
    )


def _mean(values: Values) -> float:
    return sum(values.values()) / len(values)


def precision_table(report: Report) -> Table:
    """A row per cell that was trained in two precisions, and one per technique that was switched in both."""
    return Table(
        name="precision",
        title="The same trials in another precision",
        caption=f"What another precision than {REFERENCE} changes, in percentage points with the 95 % t interval: of a "
        "cell's test accuracy after the last epoch, and of what a technique adds to it (a difference of differences); "
        "means over all seeds of each cell, of which the one with the fewest has n. "
        f"Equivalent is what surely changes by less than the margin of {margin_points(report.margin)} points, for "
        "all cells together and for all techniques together.",
        columns=(
            text_column("what", "what"),
            text_column("precision", "precision"),
            Column("in it", "value", lambda row: _shown(row, "value")),
            Column(f"in {REFERENCE}", "reference", lambda row: _shown(row, "reference")),
            number_column("difference", "difference", points),
            interval_column("95 % interval", "difference", points_interval),
            number_column("n", "n", str),
            text_column("verdict", "verdict"),
        ),
        rows=tuple(_row(effect) for effect in precision_effects(report)),
        telling=lambda row: abs(row["difference"]),
    )


def _row(effect: PrecisionEffect) -> TableRow:
    return {
        "what": _what(effect),
        "is_effect": effect.baseline is not None,
        "precision": effect.precision,
        "value": effect.value,
        "reference": effect.reference,
        **flat("difference", effect.difference),
        "verdict": str(effect.verdict),
    }


def _what(effect: PrecisionEffect) -> str:
    if effect.baseline is None:
        return f"accuracy of {effect.cell.label}"
    [factor] = effect.cell.differences(effect.baseline)
    level, without = (
        level_of(cell.levels, catalogue().by_name[factor.name]) for cell in (effect.cell, effect.baseline)
    )
    return f"effect of {switched(factor, level, without)} on {effect.cell.architecture}"


def _shown(row: TableRow, key: str) -> str:
    return points(row[key]) if row["is_effect"] else percent(row[key])


SECTION = Section("precision", "The same trials in another precision", tables=(precision_table,))
