"""What is held constant in a run, and the learning rate that goes with a cell."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from architectures.spec import Levels
from bench.errors import UsageError

Optimizer = Literal["sgd", "adamw"]
Precision = Literal["fp32", "bf16"]
Device = Literal["cpu", "cuda"]

# The starting rate of `step` and the peak of `onecycle` for SGD, by (scheduler, batch_norm). One rate for every cell
# would judge the techniques at a rate that suits some of them: without batch norm a one-cycle peak of 0.1 breaks
# training that it speeds up with batch norm. `bench select --dataset mnist` trains the candidates on 55,000 training
# images, compares them on the other 5,000 and keeps the rows in results/mnist/selection.csv; a test holds this table
# against those rows.
RATES: dict[tuple[str, bool], float] = {
    ("step", False): 0.01,
    ("step", True): 0.03,
    ("onecycle", False): 0.03,
    ("onecycle", True): 0.1,
}

# What `bench select` tries for each entry of RATES, and on which architectures.
CANDIDATE_RATES: dict[tuple[str, bool], tuple[float, ...]] = {
    ("step", False): (0.003, 0.01, 0.03),
    ("step", True): (0.003, 0.01, 0.03, 0.1),
    ("onecycle", False): (0.01, 0.03, 0.1),
    ("onecycle", True): (0.1, 0.3, 1.0),
}


MOST_EPOCHS = 100_000


@dataclass(frozen=True, slots=True)
class Protocol:
    """What every trial of a run shares.

    `lr` None means the rate that RATES gives the cell. `val` training images are held out of training; where it is not
    0 the networks are measured on them and the test set is not read.
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

    def __post_init__(self) -> None:
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
        if self.lr is None and self.optimizer != "sgd":
            raise UsageError(f"--optimizer {self.optimizer} needs --lr: only SGD's rates have been selected")

    def rate(self, levels: Levels) -> float:
        """The learning rate of a cell with these levels: the constant of `step`, the peak of `onecycle`."""
        return RATES[_rate_key(levels)] if self.lr is None else self.lr

    def selected_rate(self, levels: Levels) -> float | None:
        """The rate that was selected for such a cell, whether or not another one is given; None where none was."""
        return RATES.get(_rate_key(levels)) if self.optimizer == "sgd" else None


def _rate_key(levels: Levels) -> tuple[str, bool]:
    return str(levels["scheduler"]), bool(levels["batch_norm"])
