"""`fit` takes a stack of trials and returns one outcome per trial."""

from collections.abc import Sequence

from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.loop import train
from bench.train.outcome import OnEpoch, Outcome
from bench.train.single import Training


def fit(stack: Sequence[Trial], data: Data, on_epoch: OnEpoch | None = None) -> list[Outcome]:
    """Trains the trials of a stack, whose networks must have the same shapes, and measures each after every epoch.

    `data` must already hold out what the trials' protocol asks for. An outcome depends on its own trial alone, not on
    the stack it was in. Changes torch's global generator. Raises UsageError for a batch larger than the training data,
    ValueError for mixed shapes.
    """
    if len({trial.cell.shapes for trial in stack}) > 1:
        raise ValueError("the networks of a stack must have the same shapes")
    return [outcome for trial in stack for outcome in train(Training(trial, data), data, on_epoch)]
