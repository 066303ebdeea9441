"""What is asked of a user's network and of the parts of a recipe, checked where they are used."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bench.errors import UsageError
from bench.plan.cells import Cell
from bench.train.called import called, place_of
from bench.train.network import NetworkError, check_logits, shape_text
from bench.train.recipe import ChangeBatch, MakeOptimizer, MakeSchedule, Recipe


def check_network(network: nn.Module, input_shape: tuple[int, int, int], classes: int, cell: Cell) -> None:
    """Raises UsageError for a network that doesn't map float images to one row of logits an image, or that can't learn.

    Runs it on two images in training mode, which moves its running statistics; leaves torch's generator as it was.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise NetworkError(f"{cell.label} has no parameter that learns (requires_grad)")
    state = torch.get_rng_state()
    try:
        images = torch.zeros(2, *input_shape)
        logits = called(f"{cell.label} on images of {shape_text(input_shape)}", network.train(), images)
        check_logits(logits, 2, classes, cell)
    finally:
        torch.set_rng_state(state)


def loss_of(recipe: Recipe, logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of a batch. Raises UsageError for one that isn't a scalar that gradients flow from."""
    place = place_of(recipe.loss) or recipe.places.get("loss", "")
    value = called("the loss", recipe.loss, logits, targets, place=place)
    if not isinstance(value, Tensor):
        raise UsageError(f"{place}the loss returns {_kind(value)}: return a tensor, the mean over the batch")
    if value.ndim != 0:
        raise UsageError(
            f"{place}the loss returns a tensor of shape {tuple(value.shape)}: return a scalar, as with .mean()"
        )
    if not value.requires_grad:
        raise UsageError(
            f"{place}no gradient flows from the loss to the logits: compute it from them with torch's "
            "functions, without .item(), .detach() or argmax"
        )
    return value


def changed_batch(
    change: ChangeBatch, images: Tensor, targets: Tensor, generator: torch.Generator, classes: int
) -> tuple[Tensor, Tensor]:
    """A batch after a change. Raises UsageError for one of another shape or type."""
    result = called("the change of a batch", change, images, targets, generator)
    if not (isinstance(result, tuple) and len(result) == 2 and all(isinstance(part, Tensor) for part in result)):
        raise UsageError(f"{place_of(change)}the change of a batch returns {_kind(result)}: return (images, targets)")
    changed, labels = result
    if changed.shape != images.shape or not changed.is_floating_point():
        raise UsageError(
            f"{place_of(change)}the change of a batch returns {_said(changed)} for images: return float images of "
            f"shape {tuple(images.shape)}, as they came"
        )
    hard = labels.shape == (len(images),) and labels.dtype == torch.int64
    soft = labels.shape == (len(images), classes) and labels.is_floating_point()
    if not (hard or soft):
        raise UsageError(
            f"{place_of(change)}the change of a batch returns {_said(labels)} for targets: return int64 labels of "
            f"shape ({len(images)},) or float shares of the classes of shape ({len(images)}, {classes})"
        )
    return changed, labels


def made_optimizer(make: MakeOptimizer, parameters: Sequence[Parameter], rate: float, place: str) -> Optimizer:
    """The optimiser that `make`, given at `place`, makes. Raises UsageError where it makes none."""
    place = place_of(make) or place
    made = called("the optimizer", make, parameters, rate, place=place)
    if not isinstance(made, Optimizer):
        raise UsageError(
            f"{place}the optimizer's function returns {_kind(made)}: return a torch.optim.Optimizer, as in "
            "lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate)"
        )
    return made


def made_scheduler(make: MakeSchedule, optimizer: Optimizer, rate: float, moves: int, place: str) -> LRScheduler:
    """The scheduler that `make`, given at `place`, makes. Raises UsageError where it makes none, or one that must be
    told a metric."""
    place = place_of(make) or place
    made = called("the schedule", make, optimizer, rate, moves, place=place)
    right = (
        "return a torch.optim.lr_scheduler.LRScheduler, as in "
        "lambda optimizer, rate, moves: CosineAnnealingLR(optimizer, moves)"
    )
    if isinstance(made, ReduceLROnPlateau):
        raise UsageError(f"{place}ReduceLROnPlateau looks at held-out images while it trains: {right}")
    if not isinstance(made, LRScheduler):
        raise UsageError(f"{place}the schedule's function returns {_kind(made)}: {right}")
    return made


def _kind(value: object) -> str:
    if value is None:
        return "nothing (None)"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(cast(Sequence[object], value))}"
    return f"a {type(value).__name__}"


def _said(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
