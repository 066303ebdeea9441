"""What is held constant in a run, and the learning rate that goes with a cell."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from bench.errors import UsageError
from bench.plan.catalogue import Rates, catalogue
from bench.plan.cells import Cell
from bench.plan.levels import format_level
from bench.plan.readouts import chosen_readouts

Optimizer = Literal["sgd", "adamw"]
Precision = Literal["fp32", "bf16"]
Device = Literal["cpu", "cuda"]

MOST_EPOCHS = 100_000


@dataclass(frozen=True, slots=True)
class Protocol:
    """What every trial of a run shares.

    `lr` None means the rate that the study gives the cell. `val` training images are held out of training; where it is
    not 0 the networks are measured on them and the test set is not read. `readouts` are what each training is read out
    by beside its accuracy, in the order of `bench.plan.readouts`; they change nothing of the training.
    Raises UsageError for a value out of range.
    """

    dataset: str
    epochs: int = 15
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    lr: float | None = None
    precision: Precision = "fp32"
    device: Device = "cpu"
    val: int = 0
    readouts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "readouts", chosen_readouts(self.readouts))
        if not 1 <= self.epochs <= MOST_EPOCHS:
            raise UsageError(f"--epochs is 1 to {MOST_EPOCHS:,}, not {self.epochs:,}")
        if self.batch_size < 2:
            raise UsageError(f"--batch-size is at least 2 (batch norm needs two images), not {self.batch_size}")
        if self.val < 0:
            raise UsageError(f"--val is 0 or more images, not {self.val}")
        if self.optimizer not in get_args(Optimizer):
            raise UsageError(f"--optimizer is one of {', '.join(get_args(Optimizer))}, not {self.optimizer!r}")
        if self.precision not in get_args(Precision):
            raise UsageError(f"--precision is one of auto, {', '.join(get_args(Precision))}, not {self.precision!r}")
        if self.device not in get_args(Device):
            raise UsageError(f"--device is one of auto, {', '.join(get_args(Device))}, not {self.device!r}")
        if self.lr is not None and not (math.isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"--lr is a number above 0, not {self.lr}")
        if self.dataset and self.lr is None and (known := self._rates.optimizer) != self.optimizer:
            raise UsageError(f"--optimizer {self.optimizer} needs --lr: the rates that there are are {known}'s")

    def rate(self, cell: Cell) -> float:
        """The learning rate of a cell: where the schedule moves it, its peak. Raises UsageError for a
        cell that the study gives no rate."""
        if self.lr is not None:
            return self.lr
        rates = self._rates
        found = rates.of(cell)
        if found is None:
            lacking = ", ".join(map(format_level, rates.key(cell)))
            raise UsageError(f"the study's rates have none for {', '.join(rates.by)} = {lacking}: add it, or give --lr")
        return found

    def at(self, cell: Cell, rate: float) -> "Protocol":
        """What a cell is trained under at a rate: this protocol where it is the cell's own, or the same with that rate
        for all. Raises UsageError."""
        return self if self.rate(cell) == rate else replace(self, lr=rate)

    def selected_rate(self, cell: Cell) -> float | None:
        """The rate that goes with a cell, whether or not another one is given; None where there is none."""
        return self._rates.of(cell) if self._rates.optimizer == self.optimizer else None

    @property
    def _rates(self) -> Rates:
        return catalogue().rates_for(self.dataset, self.optimizer)
