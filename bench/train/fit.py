"""`fit` takes a stack of trials and returns one outcome per trial."""

from collections.abc import Sequence

import torch

from bench.errors import UsageError
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.loop import train
from bench.train.network import plain_network
from bench.train.outcome import OnEpoch, Outcome
from bench.train.single import Training
from bench.train.stack import StackTraining


def fit(stack: Sequence[Trial], data: Data, on_epoch: OnEpoch | None = None) -> list[Outcome]:
    """Trains the trials of a stack, whose networks must have the same shapes, and measures each after every epoch.

    A trial alone on a CPU trains as `Training`, all others as one batched network. `data` must already hold out what
    the trials' protocol asks for. An outcome depends on its own trial alone: on the stack it was in only by rounding.
    A stack that the device has too little memory for is trained in halves, from their beginning. Changes torch's global
    generator. Raises UsageError for a batch larger than the training data, ValueError for mixed shapes or protocols.
    """
    if len({trial.stack_key for trial in stack}) > 1:
        raise ValueError("the trials of a stack must share shapes and protocol")
    try:
        return train(begin(stack, data), data, on_epoch)
    except torch.OutOfMemoryError:
        if len(stack) == 1:
            raise
    # Only here, past the exception, is the memory of the failed attempt free.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(stack) // 2
    return [*fit(stack[:middle], data, on_epoch), *fit(stack[middle:], data, on_epoch)]


def begin(stack: Sequence[Trial], data: Data) -> Training | StackTraining:
    """The trials of a stack before their first step, on their protocol's device. Raises UsageError for batches that
    they can't train on."""
    check_batches(stack[0], data)
    device = torch.device(stack[0].protocol.device)
    if device.type == "cpu" and len(stack) == 1:
        return Training(stack[0], data)
    return StackTraining(stack, data, device)


def check_batches(trial: Trial, data: Data) -> None:
    """Raises UsageError for a batch larger than the training data, and for a last batch of a single image where the
    network normalises a map of one pixel: one value a channel has no variance."""
    batch_size, images = trial.protocol.batch_size, len(data.train)
    if batch_size > images:
        raise UsageError(f"--batch-size {batch_size} is larger than the {images} training images of {data.name}")
    if images % batch_size != 1:
        return
    state = torch.get_rng_state()
    try:
        plain_network(trial.cell, data.input_shape, data.classes).train()(torch.zeros(1, *data.input_shape))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UsageError(
            f"--batch-size {batch_size} leaves the last of the {images} training images of {data.name} alone, and "
            f"{trial.cell.label} normalises a map of one pixel, which one image can't be: give another batch size"
        ) from None
    finally:
        torch.set_rng_state(state)
