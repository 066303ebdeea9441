"""What a design of toggles asks: each technique on each model, and where it comes with a rate of its own, again at the
preset's."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of


@dataclass(frozen=True, slots=True)
class Question:
    """What a technique does: two cells that differ in one factor, one of them the preset, at their learning rates."""

    factor: Factor
    treated: Cell
    baseline: Cell
    rates: tuple[float, float]
    same_rate: bool = False

    @property
    def label(self) -> str:
        """As a line of progress calls it: `tiny batch_norm=on`, `tiny batch_norm=on lr=0.01`."""
        changed = self.baseline if self.treated.is_preset else self.treated
        return f"{changed.label} lr={self.rates[0]:g}" if self.same_rate else changed.label


def questions(cells: Sequence[Cell], rate_of: Callable[[Cell], float]) -> Iterator[Question]:
    """The questions that cells can answer, in their order. `rate_of` is the rate that a cell is trained
    at; where a toggle's isn't its preset's it is asked about at that as well, whether or not it was trained so."""
    for factor, treated, baseline in toggled(cells):
        rates = rate_of(treated), rate_of(baseline)
        yield Question(factor, treated, baseline, rates)
        if rates[0] != rates[1]:
            at_one = rate_of(preset_cell(treated.architecture))
            yield Question(factor, treated, baseline, (at_one, at_one), same_rate=True)


def toggled(cells: Sequence[Cell]) -> Iterator[tuple[Factor, Cell, Cell]]:
    """Every one of the cells that differs in one factor from its preset, which is among them: the factor, then the cell
    with the later of its levels and the one with the earlier."""
    known = set(cells)
    for cell in cells:
        preset = preset_cell(cell.architecture)
        changed = cell.differences(preset) if preset in known else []
        # Layers that a search suggests are no technique that is switched.
        if len(changed) == 1 and not changed[0].is_open:
            [factor] = changed
            baseline, treated = sorted((preset, cell), key=lambda c: factor.levels.index(level_of(c.levels, factor)))
            yield factor, treated, baseline
