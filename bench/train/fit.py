"""`fit` takes a stack of trials and returns one outcome per trial."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from bench.errors import UsageError
from bench.plan.cells import Cell
from bench.plan.trials import Trial
from bench.train.contract import check_network
from bench.train.data import Data
from bench.train.fast.fuse import fuse
from bench.train.fast.stackable import stack_kind
from bench.train.few import few_of_each
from bench.train.general import GeneralTraining
from bench.train.identity import phase_key
from bench.train.kept import Learned
from bench.train.loop import train
from bench.train.network import plain_network
from bench.train.outcome import Began, OnEpoch, Outcome
from bench.train.readouts import AnyTraining, Followed
from bench.train.recipe import recipe_of
from bench.train.single import Training
from bench.train.stack import StackTraining
from bench.train.start import Start, StartedTraining, StartError, first_of, learn, start_from
from bench.train.taught import TaughtTraining, learn_to_teach, teachers_of


def fit(stack: Sequence[Trial], data: Data, on_epoch: OnEpoch | None = None) -> list[Outcome]:
    """Trains the trials of a stack, whose networks must have the same shapes, and measures each after every epoch; in
    the end on the training images as well.

    Those that `together` puts in one train as one batched network, the others one after the other. `data` must already
    hold out what the trials' protocol asks for. An outcome depends on its own trial alone: on the stack it was in only
    by rounding. A stack that the device has too little memory for is trained in halves, from their beginning. Changes
    torch's global generator. Raises UsageError for what can't be trained, ValueError for mixed shapes or protocols.
    """
    if len({trial.stack_key for trial in stack}) > 1:
        raise ValueError("the trials of a stack must share shapes and protocol")
    outcomes: dict[Trial, Outcome] = {}
    for part in together(stack, data):
        outcomes |= zip(part, _fit_together(part, data, on_epoch), strict=True)
    return [outcomes[trial] for trial in stack]


def _fit_together(stack: Sequence[Trial], data: Data, on_epoch: OnEpoch | None) -> list[Outcome]:
    try:
        data = few_of_each(data, recipe_of(stack[0]).images_per_class, stack[0].seed)
        start, taught = _start(stack[0], data), _taught(stack[0], data)
        training = begin(stack, data, start, taught)
        if names := stack[0].protocol.readouts:
            followed = Followed(training)
            outcomes = with_readouts(train(followed, data, on_epoch), followed.read(names))
        else:
            outcomes = train(training, data, on_epoch)
        return [_with_beginning(outcome, data, start, taught) for outcome in measured_on_training(training, outcomes)]
    except torch.OutOfMemoryError:
        if len(stack) == 1:
            raise
    # Only here, past the exception, is the memory of the failed attempt free.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(stack) // 2
    return [*_fit_together(stack[:middle], data, on_epoch), *_fit_together(stack[middle:], data, on_epoch)]


def _start(trial: Trial, data: Data) -> Start | None:
    """What the trial starts from, learned now or kept from another trial that starts with the same; None where that is
    its own initialisation."""
    recipe = recipe_of(trial)
    if recipe.start is None:
        return None
    first = first_of(trial, data, recipe, recipe.start)
    check_batches(first.trial, first.data)
    learned = data.keep(phase_key(first), partial(learn, first))
    return start_from(learned, trial, data, recipe.start)


def _taught(trial: Trial, data: Data) -> list[Learned]:
    """What the trial's teachers learned, now or for another trial that has the same."""
    teacher = recipe_of(trial).teacher
    firsts = [] if teacher is None else teachers_of(trial, data, teacher)
    # Workers wait for each other's, and so begin with different ones.
    order = sorted(range(len(firsts)), key=lambda number: (number - trial.seed) % len(firsts))
    taught = {n: data.keep(phase_key(firsts[n]), partial(learn_to_teach, firsts[n])) for n in order}
    return [taught[number] for number in range(len(firsts))]


def _with_beginning(outcome: Outcome, data: Data, start: Start | None, taught: Sequence[Learned]) -> Outcome:
    began = None if start is None else Began(start.data, start.learned.updates, start.learned.seconds)
    teacher_seconds = sum(one.seconds for one in taught) if taught else None
    return replace(outcome, train_images=len(data.train), began=began, teacher_seconds=teacher_seconds)


def with_readouts(outcomes: Sequence[Outcome], readouts: Sequence[Mapping[str, NDArray[np.float32]]]) -> list[Outcome]:
    """The outcomes of trials with what was read out of their networks, but for those that diverged."""
    return [
        replace(outcome, readouts=read) if outcome.status == "done" else outcome
        for outcome, read in zip(outcomes, readouts, strict=True)
    ]


def measured_on_training(training: AnyTraining, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of trials that are trained, with what their networks reach on the undistorted training images.

    That is what overfitting shows in: the running accuracy of an epoch is of distorted images, of weights that still
    move, and of dropout at work. It comes after the training, which it can change nothing of, and isn't timed.
    """
    if all(outcome.status == "diverged" for outcome in outcomes):
        return list(outcomes)
    labels = training.data.train.labels
    training.data = training.data.measured_on_training
    return [
        replace(outcome, undistorted_accuracy=(predicted == labels).double().mean().item(), undistorted_loss=loss)
        if outcome.status == "done" and math.isfinite(loss)
        else outcome
        for outcome, (predicted, loss) in zip(outcomes, training.evaluate(), strict=True)
    ]


def together(stack: Sequence[Trial], data: Data) -> list[list[Trial]]:
    """The trials in parts that train as one each, in the order of their first: a trial whose recipe is its own or whose
    network can't be stacked is a part of its own. Raises UsageError for a recipe that can't be made."""
    parts: dict[Hashable, list[Trial]] = {}
    kinds: dict[Hashable, Hashable] = {}
    for trial in stack:
        alone = len(stack) == 1 or not recipe_of(trial).is_default
        if not alone and trial.cell.network not in kinds:
            kinds[trial.cell.network] = _kind(trial.cell, data)
        kind = None if alone else kinds[trial.cell.network]
        parts.setdefault(trial if kind is None else kind, []).append(trial)
    return list(parts.values())


def begin(
    stack: Sequence[Trial], data: Data, start: Start | None = None, taught: Sequence[Learned] = ()
) -> AnyTraining:
    """Trials that train as one, before their first step, on their protocol's device. A trial alone on a CPU trains as
    `Training`, one with a recipe of its own, or on a GPU with a network that can't be stacked, as `GeneralTraining`,
    all others as `StackTraining`. `data` are those of the trials' own images, `start` what a trial with a phase starts
    from; without it such a trial starts as others do. `taught` is what a trial's teachers learned; without it they say
    what they say untrained. Raises UsageError for batches, networks and recipes that they can't train with."""
    trial, device = stack[0], torch.device(stack[0].protocol.device)
    recipe = recipe_of(trial)
    _check_networks(stack, data)
    check_batches(trial, data)
    if recipe.teacher is not None:
        if recipe.start is not None:
            raise StartError(f"{trial.cell.label} begins with a phase and has a teacher: one of the two at a time")
        return TaughtTraining(trial, data, recipe, device, teachers_of(trial, data, recipe.teacher), taught)
    if start is not None:
        return StartedTraining(trial, data, recipe, device, start)
    if len(stack) == 1 and not recipe.trains_as_usual:
        return GeneralTraining(trial, data, recipe, device)
    if len(stack) == 1 and device.type == "cpu":
        return Training(trial, data)
    if len(stack) == 1 and not stacks(trial.cell, data):
        return GeneralTraining(trial, data, recipe, device)
    return StackTraining(stack, data, device)


def stacks(cell: Cell, data: Data) -> bool:
    """Whether the cell's network can train in a stack."""
    return _kind(cell, data) is not None


def _kind(cell: Cell, data: Data) -> Hashable | None:
    """What cells share whose networks can be stacked; None where the cell's can't be."""
    state = torch.get_rng_state()
    try:
        return stack_kind(fuse(plain_network(cell, data.input_shape, data.classes)), data.input_shape)
    finally:
        torch.set_rng_state(state)


def _check_networks(stack: Sequence[Trial], data: Data) -> None:
    """Raises UsageError for a network that doesn't do what training asks of it."""
    state = torch.get_rng_state()
    try:
        for cell in {trial.cell.network: trial.cell for trial in stack}.values():
            network = plain_network(cell, data.input_shape, data.classes)
            check_network(network, data.input_shape, data.classes, cell)
    finally:
        torch.set_rng_state(state)


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
