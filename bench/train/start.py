"""Trials that begin with a phase of training on another data set, and start their own from what it left."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.optim import Optimizer

from bench.errors import UsageError
from bench.plan.cells import Cell
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.general import GeneralTraining
from bench.train.kept import Learned
from bench.train.network import plain_network, shape_text
from bench.train.phase import Phase
from bench.train.recipe import Recipe


class StartError(UsageError):
    """A trial can't begin with its phase."""


@dataclass(frozen=True)
class First:
    """A phase as a training of its own."""

    trial: Trial
    data: Data
    recipe: Recipe


@dataclass(frozen=True)
class Start:
    """What a trial's own training starts from, of a phase on the data set called `data`. `weights` are what it takes of
    what was learned, by name; with `frozen` they stay as they are."""

    data: str
    learned: Learned
    weights: Mapping[str, torch.Tensor]
    frozen: bool


def first_of(trial: Trial, data: Data, recipe: Recipe, phase: Phase) -> First:
    """The phase that a trial on `data`, by this recipe, begins with. Raises StartError where its data set isn't at hand
    or what it leaves doesn't fit."""
    others = _others(data, phase)
    own = trial.protocol
    lr, epochs = phase.rate or trial.lr, phase.epochs
    trained = others
    if phase.own_images:
        updates = phase.epochs * _steps(others, own.batch_size)
        trained, epochs = data, max(1, round(updates / _steps(data, own.batch_size)))
    else:
        _require_fitting(trial.cell, data, others)
    protocol = replace(own, dataset=trained.name, epochs=epochs, lr=lr, val=0, readouts=())
    rest = replace(recipe, start=None, images_per_class=None)
    return First(replace(trial, protocol=protocol), trained, rest)


def learn(first: First) -> Learned:
    """Trains a phase. Raises StartError where it diverges."""
    trial, data, protocol = first.trial, first.data, first.trial.protocol
    training = GeneralTraining(trial, data, first.recipe, torch.device(protocol.device))
    begun = time.perf_counter()
    for _ in range(protocol.epochs):
        [(_, loss)] = training.epoch()
        if not math.isfinite(loss):
            raise StartError(
                f"{trial.cell.label} diverges in its phase on {data.name}, at a rate of {trial.lr:g}: give the phase a "
                "smaller one, as in Phase(..., rate=0.01)"
            )
    seconds = time.perf_counter() - begun
    state = training.network.state_dict()
    weights = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in _tensors(state).items()}
    return Learned(weights, protocol.epochs * _steps(data, protocol.batch_size), seconds)


def start_from(learned: Learned, trial: Trial, data: Data, phase: Phase) -> Start:
    """What a trial on `data` takes of what its phase left: the body, or after the same images the whole network."""
    taken = learned.weights
    if not phase.own_images:
        taken = {name: taken[name] for name in body_of(trial.cell, data.input_shape, data.classes)}
    return Start(data.name if phase.own_images else phase.data, learned, taken, phase.frozen)


def body_of(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> dict[str, torch.Size]:
    """The shapes by name of the parameters and buffers that can be handed on: those of all layers but the ones that
    have some whose shape depends on the number of classes. Raises StartError where that leaves none, or all."""
    shapes, of_more = _shapes(cell, input_shape, classes), _shapes(cell, input_shape, classes + 1)
    heads = {_owner(name) for name, shape in shapes.items() if of_more.get(name) != shape}
    body = {name: shape for name, shape in shapes.items() if _owner(name) not in heads}
    if not heads:
        raise StartError(
            f"{cell.architecture} has no layer whose shape depends on the number of classes, so that it isn't known "
            "which one begins anew: make the last one with `classes` outputs"
        )
    if not body:
        raise StartError(f"{cell.architecture} has no layer before the last, and so nothing to hand on from a phase")
    return body


class StartedTraining(GeneralTraining):
    """A trial under way that starts from what a phase left."""

    def __init__(self, trial: Trial, data: Data, recipe: Recipe, device: torch.device, start: Start) -> None:
        self._start = start
        self._still: list[nn.Module] = []
        super().__init__(trial, data, recipe, device)

    def step(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As in general; what is frozen computes as when it is measured, its norms by the statistics that they have."""
        for module in self._still:
            module.training = False
        return super().step(indices)

    def _make_optimizer(self) -> Optimizer:
        # Made of the parameters that learn, so that by now it must be said which do.
        put(self.network, self._start.weights)
        if self._start.frozen:
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(name not in self._start.weights)
            self._still = [module for module in self.network.modules() if not _learns(module)]
        return super()._make_optimizer()


@torch.no_grad()
def put(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Gives parameters and buffers these values, by name."""
    places = network.state_dict()
    for name, value in weights.items():
        places[name].copy_(value)


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _others(data: Data, phase: Phase) -> Data:
    if phase.data == data.name:
        raise StartError(f"a phase on {phase.data} is none where {phase.data} is trained on anyway")
    if phase.data not in data.others:
        raise StartError(f"{phase.data}, which a phase trains on, was not loaded")
    return data.others[phase.data]


def _require_fitting(cell: Cell, data: Data, others: Data) -> None:
    there = _shapes(cell, others.input_shape, others.classes)
    for name, shape in body_of(cell, data.input_shape, data.classes).items():
        if there.get(name) != shape:
            raise StartError(
                f"{cell.architecture} can't start on {data.name} from a phase on {others.name}, whose images are "
                f"{shape_text(others.input_shape)} and not {shape_text(data.input_shape)}: its {name} is "
                f"{_said(there.get(name))} there and {_said(shape)} here"
            )


def _said(shape: torch.Size | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape)) or "a number"


def _steps(data: Data, batch_size: int) -> int:
    return math.ceil(len(data.train) / batch_size)


def _shapes(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> dict[str, torch.Size]:
    with torch.random.fork_rng(devices=[]):
        state = plain_network(cell, input_shape, classes).state_dict()
    return {name: value.shape for name, value in _tensors(state).items()}


def _tensors(state: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """Without what modules keep of another kind."""
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _owner(name: str) -> str:
    """The module that a parameter or a buffer is of."""
    return name.rpartition(".")[0]
