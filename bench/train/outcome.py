"""What training hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.plan.trials import Trial


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training images. Accuracies in [0, 1], losses in nats, seconds of training and measuring.

    Training figures are running averages over the distorted images as they were trained on; `lr` is the epoch's first.
    Of a stack's seconds a trial has an equal share.
    """

    number: int
    train_accuracy: float
    train_loss: float
    held_out_accuracy: float
    held_out_loss: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `predicted` is the class that the last epoch's network gave each held-out image, in order;
    `train_seconds` leaves measuring out. A diverged trial ends with the epoch whose loss was not finite.

    `undistorted_accuracy` and `undistorted_loss` are the last epoch's network's on the training images as they are,
    measured like the held-out images; None for a trial that diverged, and where that loss isn't finite.
    """

    status: Literal["done", "diverged"]
    curve: tuple[Epoch, ...]
    predicted: tuple[int, ...]
    train_seconds: float
    undistorted_accuracy: float | None = None
    undistorted_loss: float | None = None


OnEpoch = Callable[[Trial, Epoch], None]
