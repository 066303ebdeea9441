"""A trial: one training of one cell with one seed under a protocol."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from bench.plan.cells import Cell
from bench.plan.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Trial:
    """One training, one row."""

    cell: Cell
    seed: int
    protocol: Protocol

    @property
    def lr(self) -> float:
        """The learning rate of this trial's cell."""
        return self.protocol.rate(self.cell.levels)

    @property
    def selected_lr(self) -> float | None:
        """The learning rate that was selected for this trial's cell; None where none was."""
        return self.protocol.selected_rate(self.cell.levels)

    @property
    def stack_key(self) -> tuple[object, ...]:
        """Trials that share it can train as one stack: shapes of weights, and all of the protocol but the rate."""
        protocol = self.protocol
        shared = [getattr(protocol, field.name) for field in fields(protocol) if field.name != "lr"]
        return *self.cell.shapes, *shared


def trials(cells: Iterable[Cell], seeds: int | Iterable[int], protocol: Protocol) -> Iterator[Trial]:
    """Every cell with every seed (of a number N 0 to N-1), seed by seed: a run that is cut short still has whole
    replicates."""
    distinct = list(dict.fromkeys(cells))
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        for cell in distinct:
            yield Trial(cell, seed, protocol)
