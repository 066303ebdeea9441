"""A trial: one training of one cell with one seed under a protocol."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import ONE_CHANGE
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
        return self.protocol.rate(self.cell)

    @property
    def selected_lr(self) -> float | None:
        """The learning rate that was selected for this trial's cell; None where none was."""
        return self.protocol.selected_rate(self.cell)

    @property
    def label(self) -> str:
        """As messages call it: its cell, with the rate where that isn't the cell's own."""
        is_own = self.protocol.lr is None or self.protocol.lr == self.selected_lr
        return self.cell.label if is_own else f"{self.cell.label} lr={self.lr:g}"

    @property
    def arm(self) -> tuple[Cell, Protocol]:
        """What trials share that differ in their seed alone."""
        return self.cell, self.protocol

    @property
    def stack_key(self) -> tuple[object, ...]:
        """Trials that share it can train as one stack: shapes of weights, and all of the protocol but the rate."""
        protocol = self.protocol
        shared = [getattr(protocol, field.name) for field in fields(protocol) if field.name != "lr"]
        return *self.cell.shapes, *shared


def planned(design: str, cells: Iterable[Cell], seeds: int | Iterable[int], protocol: Protocol) -> Iterator[Trial]:
    """The trials of a design: as `trials`, and where its cells are single changes of their presets, each cell whose
    rate isn't its preset's once more at the preset's rate, a sibling: against the preset it changes the technique
    alone, and the cell at its own rate the technique with its rate. Raises UsageError for a cell without a rate."""
    distinct = list(dict.fromkeys(cells))
    siblings: dict[Cell, Protocol] = {}
    for cell in distinct if design in ONE_CHANGE else ():
        under = protocol.at(cell, protocol.rate(preset_cell(cell.architecture)))
        if under != protocol:
            siblings[cell] = under
    for trial in trials(distinct, seeds, protocol):
        yield trial
        if trial.cell in siblings:
            yield replace(trial, protocol=siblings[trial.cell])


def arms(planned: Iterable[Trial]) -> Mapping[tuple[Cell, Protocol], str]:
    """The cells of a plan and what each is trained under, in its order, with what a table calls them: the cell's label,
    and a sibling's rate as in `tiny batch_norm=on lr=0.01`, or another number of epochs. A plan begins with its own
    protocol."""
    found: dict[tuple[Cell, Protocol], str] = {}
    own = None
    for trial in planned:
        own = own or trial.protocol
        if trial.arm not in found:
            found[trial.arm] = f"{trial.cell.label}{_unlike(trial, own)}"
    return found


def _unlike(trial: Trial, own: Protocol) -> str:
    if trial.protocol == own:
        return ""
    under, epochs = replace(trial.protocol, epochs=own.epochs), trial.protocol.epochs
    return ("" if under == own else f" lr={trial.lr:g}") + ("" if epochs == own.epochs else f" epochs={epochs}")


def counted(planned: Sequence[Trial]) -> str:
    """`24 cells (31 counted by rate) x 5 seeds = 155 trials`."""
    by_rate, cells = len(arms(planned)), len({trial.cell for trial in planned})
    siblings = f" ({by_rate} counted by rate)" if by_rate > cells else ""
    return f"{cells} cells{siblings} x {len({trial.seed for trial in planned})} seeds = {len(planned)} trials"


def trials(cells: Iterable[Cell], seeds: int | Iterable[int], protocol: Protocol) -> Iterator[Trial]:
    """Every cell with every seed (of a number N 0 to N-1), seed by seed: a run that is cut short still has whole
    replicates."""
    distinct = list(dict.fromkeys(cells))
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        for cell in distinct:
            yield Trial(cell, seed, protocol)
