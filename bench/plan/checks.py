"""What `bench check quality` trains: cells under one protocol with a few seeds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.protocol import Optimizer, Protocol
from bench.plan.trials import Trial

# Of a study that doesn't say what to check: so many epochs at most, so many seeds a batch, and so large a loss of
# accuracy (a fraction) and of test loss (in nats).
_EPOCHS, _SEEDS, _MARGIN, _LOSS_MARGIN = 3, 5, 0.03, 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained: `seeds` in the first batch, as many in the second, and what doesn't matter: a change of a cell's
    mean accuracy within `margin` (a fraction), of its test loss within `loss_margin` (nats). The mean of all cells is
    known better by the square root of their number, and its margins are smaller by as much."""

    cells: tuple[Cell, ...]
    protocol: Protocol
    seeds: int
    margin: float
    loss_margin: float = _LOSS_MARGIN

    def trials(self, batch: int) -> list[Trial]:
        """The trials of batch 0 or 1."""
        seeds = range(batch * self.seeds, (batch + 1) * self.seeds)
        return [Trial(cell, seed, self.protocol) for seed in seeds for cell in self.cells]


def plans() -> Mapping[str, Callable[[], Plan]]:
    """By data set, what the study in use has checked: what it says, or else its presets on each of its data sets."""
    return catalogue().checks or {name: _Presets(name) for name in catalogue().datasets}


@dataclass(frozen=True, slots=True)
class _Presets:
    """Every architecture at its preset, with the study's protocol but for a few epochs, in the precision that every
    processor has."""

    dataset: str

    def __call__(self) -> Plan:
        usual = catalogue().usual_on(self.dataset)
        protocol = Protocol(
            self.dataset,
            epochs=min(usual.epochs, _EPOCHS),
            batch_size=usual.batch_size,
            optimizer=cast(Optimizer, usual.optimizer),
            lr=catalogue().defaults.lr,
        )
        return Plan(tuple(map(preset_cell, catalogue().models)), protocol, _SEEDS, _MARGIN)
