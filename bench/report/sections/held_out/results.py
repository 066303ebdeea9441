"""Cells on held-out training images, each against the preset of its model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.plan.cells import Cell, preset_cell
from bench.report.report import Report, once
from bench.report.stats.contrast import difference_of
from bench.report.stats.estimate import Estimate, estimate
from bench.report.stats.verdict import Verdict, judge_family


@dataclass(frozen=True, slots=True)
class Compared:
    """A cell with its accuracy, a fraction, over seeds, and what that is more than the preset's; the verdict is for all
    cells together. None for presets, and where the preset wasn't trained so."""

    cell: Cell
    parameters: int
    accuracy: Estimate
    over_preset: Estimate | None
    verdict: Verdict | None


@once
def compared(report: Report) -> tuple[Compared, ...]:
    """In the order of the evidence's cells."""
    rows = report.evidence.held_out
    step = 1 / int(rows["val"].iloc[0]) if len(rows) else 0.0
    values: dict[Cell, Mapping[int, float]] = {}
    parameters: dict[Cell, int] = {}
    for cell in report.evidence.held_out_cells:
        own = rows[rows["cell"] == cell.label]
        values[cell] = dict(zip(own["seed"].tolist(), own["val_accuracy"].tolist(), strict=True))
        parameters[cell] = int(own["parameters"].iloc[0])
    found = [
        Compared(cell, parameters[cell], estimate(list(own.values()), step), _over_preset(cell, values, step), None)
        for cell, own in values.items()
    ]
    judged = [one for one in found if one.over_preset is not None]
    verdicts = judge_family([one.over_preset for one in judged if one.over_preset is not None], report.margin)
    by_cell = {one.cell: judgement.verdict for one, judgement in zip(judged, verdicts, strict=True)}
    return tuple(replace(one, verdict=by_cell.get(one.cell)) for one in found)


def _over_preset(cell: Cell, values: Mapping[Cell, Mapping[int, float]], step: float) -> Estimate | None:
    preset = preset_cell(cell.architecture)
    return None if cell == preset or preset not in values else difference_of(values[cell], values[preset], step)
