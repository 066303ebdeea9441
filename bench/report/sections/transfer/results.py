"""What a phase of training before is worth, by how many images a trial has of its own."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.contrast import difference_of
from bench.report.stats.estimate import Estimate, estimate
from bench.report.stats.verdict import Verdict, judge_family

# A phase on a trial's own images is the control of one that makes as many updates, to within so much.
_AS_MANY = 0.1


@dataclass(frozen=True, slots=True)
class Beginning:
    """A cell that begins so, with so many training images. `beginning` says how in words; `phase` is the data set that
    it begins on, empty where it begins with nothing, and the report's own where it is the control.

    `accuracy` is over seeds, a fraction; `over_none` the difference from the cell that begins with nothing on the same
    images, `over_updates` from the one that makes as many updates on its own; None where that wasn't trained. `updates`
    and `seconds` are of the phase and the training together.
    """

    cell: Cell
    beginning: str
    phase: str
    images: int
    accuracy: Estimate
    over_none: Estimate | None
    over_updates: Estimate | None
    verdict: Verdict | None
    updates: int
    seconds: float


@once
def beginnings(report: Report) -> tuple[Beginning, ...]:
    """By architecture and beginning, in the factor's order, and by the number of images; none without phases. The
    verdicts on what begins with a phase against what doesn't are one family."""
    found = list(_found(report.evidence))
    asked = [one for one in found if one.over_none is not None]
    verdicts = judge_family([one.over_none for one in asked if one.over_none is not None], report.margin)
    judged = {one.cell: judgement.verdict for one, judgement in zip(asked, verdicts, strict=True)}
    return tuple(replace(one, verdict=judged.get(one.cell)) for one in found)


@dataclass(frozen=True)
class _Trained:
    """A cell's rows, and what they share."""

    cell: Cell
    rows: pd.DataFrame

    @property
    def phase(self) -> str:
        """Empty where it began with nothing."""
        first = self.rows["phase"].iloc[0]
        return first if isinstance(first, str) else ""

    @property
    def values(self) -> Mapping[int, float]:
        """Accuracies by seed."""
        return dict(zip(self.rows["seed"].tolist(), self.rows["test_accuracy"].tolist(), strict=True))

    @property
    def images(self) -> int:
        return round(float(self.rows["train_images"].astype(float).mean()))

    @property
    def before(self) -> int:
        """Updates of the phase."""
        updates = self.rows["phase_updates"].astype(float).mean()
        return 0 if math.isnan(updates) else round(updates)

    @property
    def updates(self) -> int:
        row = self.rows.iloc[0]
        return self.before + int(row["epochs"]) * math.ceil(self.images / int(row["batch_size"]))

    @property
    def seconds(self) -> float:
        before = self.rows["phase_seconds"].astype(float).fillna(0)
        return float((self.rows["train_seconds"].astype(float) + before).mean())


def _found(evidence: Evidence) -> Iterator[Beginning]:
    trained = _trained(evidence)
    starting = _starting(trained)
    if starting is None:
        return
    full = max(one.images for one in trained.values())
    fewer = [factor for factor in catalogue().factors if _is_of_images(factor, trained, full)]
    usual = [one for one in trained.values() if _varies_only(one.cell, [starting, *fewer])]
    wanted = [one for one in usual if one.phase or any(_off(other.cell, starting) == one.cell for other in usual)]
    for one in sorted(wanted, key=lambda one: _order(one, starting)):
        without = trained.get(_off(one.cell, starting)) if one.phase else None
        control = None if one.phase in ("", evidence.dataset) else _control(one, usual, evidence.dataset, starting)
        yield Beginning(
            cell=one.cell,
            beginning=starting.in_words(level_of(one.cell.levels, starting)),
            phase=one.phase,
            images=one.images,
            accuracy=estimate(list(one.values.values()), evidence.step),
            over_none=_difference(one, without, evidence.step),
            over_updates=_difference(one, control, evidence.step),
            verdict=None,
            updates=one.updates,
            seconds=one.seconds,
        )


def _trained(evidence: Evidence) -> dict[Cell, _Trained]:
    """The cells whose rows say on how many images they trained."""
    rows = pd.concat([evidence.trials, evidence.apart]) if len(evidence.apart) else evidence.trials
    rows = rows[rows["train_images"].notna()]
    if not rows["phase"].notna().any():
        return {}
    by_label = {cell.label: cell for cell in (*evidence.cells, *evidence.apart_cells)}
    return {by_label[str(label)]: _Trained(by_label[str(label)], own) for label, own in rows.groupby("cell")}


def _starting(trained: Mapping[Cell, _Trained]) -> Factor | None:
    """The factor that says what trainings begin with: where it is off, none of these cells begins with a phase."""
    for factor in catalogue().factors:
        if factor.change is None:
            continue
        on = [one for cell, one in trained.items() if level_of(cell.levels, factor) != factor.off]
        others = [one for cell, one in trained.items() if level_of(cell.levels, factor) == factor.off]
        if on and all(one.phase for one in on) and not any(one.phase for one in others):
            return factor
    return None


def _is_of_images(factor: Factor, trained: Mapping[Cell, _Trained], full: int) -> bool:
    """Whether every other level than off of this factor leaves fewer images."""
    on = [one for cell, one in trained.items() if level_of(cell.levels, factor) != factor.off]
    return factor.change is not None and bool(on) and all(one.images < full for one in on)


def _varies_only(cell: Cell, factors: list[Factor]) -> bool:
    return all(factor in factors for factor in cell.differences(preset_cell(cell.architecture)))


def _off(cell: Cell, factor: Factor) -> Cell:
    return cell.with_level(factor, factor.off)


def _control(one: _Trained, usual: list[_Trained], dataset: str, starting: Factor) -> _Trained | None:
    """What makes as many updates on its own images, all else alike."""
    alike = [
        other
        for other in usual
        if other.phase == dataset
        and _off(other.cell, starting) == _off(one.cell, starting)
        and abs(other.before - one.before) <= _AS_MANY * one.before
    ]
    return min(alike, key=lambda other: abs(other.before - one.before), default=None)


def _difference(one: _Trained, other: _Trained | None, step: float) -> Estimate | None:
    return None if other is None else difference_of(one.values, other.values, step)


def _order(one: _Trained, starting: Factor) -> tuple[int, int, int]:
    level = level_of(one.cell.levels, starting)
    return list(catalogue().architectures).index(one.cell.architecture), starting.levels.index(level), one.images
