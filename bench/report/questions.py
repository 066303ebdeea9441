"""What a design of toggles asks: each technique on each model, and where it comes with a rate of its own, again at the
preset's."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.report.combinations import by_architecture, toggled


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


def questions(cells: Iterable[Cell], rate_of: Callable[[Cell], float]) -> Iterator[Question]:
    """The questions that cells can answer, architecture by architecture. `rate_of` is the rate that a cell is trained
    at; where a toggle's isn't its preset's it is asked about at that as well, whether or not it was trained so."""
    for architecture, own in by_architecture(cells):
        for factor, treated, baseline in toggled(own):
            rates = rate_of(treated), rate_of(baseline)
            yield Question(factor, treated, baseline, rates)
            if rates[0] != rates[1]:
                at_one = rate_of(preset_cell(architecture))
                yield Question(factor, treated, baseline, (at_one, at_one), same_rate=True)
