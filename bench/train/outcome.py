"""What training hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

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
class Began:
    """The phase of training that a trial began with: the data set, how many updates, and the seconds that these took
    when they were made."""

    data: str
    updates: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `predicted` is the class that the last epoch's network gave each held-out image, in order;
    `train_seconds` leaves measuring out. A diverged trial ends with the epoch whose loss was not finite.

    `undistorted_accuracy` and `undistorted_loss` are the last epoch's network's on the training images as they are,
    measured like the held-out images; None for a trial that diverged, and where that loss isn't finite. `readouts` has
    by name the logarithms of the probabilities (images, classes) that the readouts asked for give the held-out images;
    none of a trial that diverged. `train_images` is how many images it trained on, `began` the phase that it began
    with, `teacher_seconds` how long its teachers took to learn.
    """

    status: Literal["done", "diverged"]
    curve: tuple[Epoch, ...]
    predicted: tuple[int, ...]
    train_seconds: float
    undistorted_accuracy: float | None = None
    undistorted_loss: float | None = None
    readouts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    train_images: int | None = None
    began: Began | None = None
    teacher_seconds: float | None = None


OnEpoch = Callable[[Trial, Epoch], None]
