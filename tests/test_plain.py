"""The plain loop is the reference: on the same batches the engine is no further from float64 than it is."""

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.data import Data, Split
from bench.train.fast.activation import Activation
from bench.train.network import plain_network
from bench.train.plain import PlainImages, plain_loader, plain_losses, plain_transform
from bench.train.single import Training

STEPS = 20
# What one block lets through in one step: per value of its output its place in the map before the pool, where there is
# a pool, and whether it is above 0.
Decision = tuple[Tensor | None, Tensor]


# The models whose layers follow one another. Each once, and batch norm and pooling off once; the slow tests have all.
AT_ONCE = [("model1", True, False), ("model2", False, True), ("model3", True, True)]


@pytest.mark.parametrize(
    ("name", "gap", "batch_norm"),
    [
        pytest.param(name, *levels, marks=() if (name, *levels) in AT_ONCE else pytest.mark.slow)
        for name in ("model1", "model2", "model3")
        for levels in ((True, True), (False, True), (True, False))
    ],
)
def test_the_engine_is_as_near_to_float64_as_the_plain_loop(
    name: str, gap: bool, batch_norm: bool, few_digits: Data
) -> None:
    """Same weights, same batches, same rate: the losses of 20 steps and the way that the weights went. Without the two
    random streams, augmentation and dropout, which draw differently.

    Where a value lies within a rounding of 0, or two values of a window within a rounding of each other, ReLU and pool
    decide one way in one arithmetic and the other way in another; the gradient jumps, and with batch norm twenty steps
    make 0.01 of that in a loss, whoever computes it. Which values those are depends on the CPU. So each run is
    held against float64 with the run's own decisions, and the decisions against float64's."""
    changed: dict[str, Level] = {"gap": gap, "batch_norm": batch_norm, "dropout": 0.0}
    cell = Cell(name, Levels(preset_cell(name).levels, **changed, augmentation="none", scheduler="step"))
    data, batch_size = few_digits, 32
    training = Training(Trial(cell, 0, Protocol("digits", lr=1e-2, batch_size=batch_size)), data)
    start = flat(plain_network(cell, data.input_shape, data.classes))
    start.load_state_dict(dict(zip(start.state_dict(), training.network.state_dict().values(), strict=True)))
    mean, std = data.pixel_mean_std
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(1))
    indices = (order.split(batch_size) * 3)[:STEPS]
    batches = [((data.train.images[i].float() / 255 - mean) / std, data.train.labels[i]) for i in indices]

    plain = deepcopy(start)
    plain_decisions = watch_torch(plain)
    plain_errors = errors(train(plain, batches), plain, start, batches, plain_decisions)
    training.network.train()
    engine_decisions = watch_engine(training.network)
    losses = [training.step(i)[0].item() for i in indices]
    engine_errors = errors(losses, training.network, start, batches, engine_decisions)
    # A loss of 2 to 4 is rounded to 2.4e-7.
    assert engine_errors.losses <= 2 * plain_errors.losses + 1e-6
    assert engine_errors.way <= 2 * plain_errors.way + 1e-6
    assert engine_errors.decisions <= 1e-3


def flat(network: nn.Module) -> nn.Sequential:
    """The layers of nested sequentials, one after the other."""
    return nn.Sequential(*(layer for layer in network.modules() if not isinstance(layer, nn.Sequential)))


@dataclass(frozen=True)
class Errors:
    """How far a run in float32 is from one in float64 that decides as it did: the largest difference of a loss; the
    weights' after the last step, as a share of the way they went; the largest lead over the value let through that one
    held back has in float64, as a share of the root mean square of its maps."""

    losses: float
    way: float
    decisions: float


def errors(
    losses: list[float],
    network: nn.Module,
    start: nn.Sequential,
    batches: list[tuple[Tensor, Tensor]],
    decisions: list[list[Decision]],
) -> Errors:
    """Of a training of `network` from `start`."""
    exact, told = obedient(start, decisions)
    exact_losses = train(exact, [(images.double(), labels) for images, labels in batches])
    assert len(losses) == len(exact_losses) == STEPS
    begin, end, exact_end = (
        torch.cat([parameter.detach().double().flatten() for parameter in module.parameters()])
        for module in (start, network, exact)
    )
    return Errors(
        max(abs(loss - exact_loss) for loss, exact_loss in zip(losses, exact_losses, strict=True)),
        ((end - exact_end).norm() / (exact_end - begin).norm()).item(),
        max(block.worst for block in told),
    )


def train(network: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> list[float]:
    return list(plain_losses(network, batches, torch.optim.SGD(network.parameters(), lr=1e-2, momentum=0.9)))


class Told(nn.Module):
    """ReLU and max pool that let through what they are told to, step by step."""

    def __init__(self, pool: int, decisions: list[Decision]) -> None:
        super().__init__()
        self.pool = pool
        self.decisions = iter(decisions)
        self.worst = 0.0

    def forward(self, maps: Tensor) -> Tensor:
        places, above = next(self.decisions)
        largest = chosen = maps
        if places is not None:
            largest = F.max_pool2d(maps.detach(), self.pool)
            chosen = maps.flatten(2).gather(2, places.flatten(2)).view(places.shape)
        passed = chosen * above
        lead = (largest.relu() - passed).detach().abs().max() / maps.detach().square().mean().sqrt()
        self.worst = max(self.worst, lead.item())
        return passed


def obedient(start: nn.Sequential, decisions: list[list[Decision]]) -> tuple[nn.Sequential, list[Told]]:
    """The network in float64, and its blocks' ReLU and pool, each told its decisions."""
    layers: list[nn.Module] = []
    told: list[Told] = []
    for layer in start:
        if isinstance(layer, nn.ReLU):
            told.append(Told(1, decisions[len(told)]))
            layers.append(told[-1])
        elif isinstance(layer, nn.MaxPool2d):
            told[-1].pool = cast(int, layer.kernel_size)
        else:
            layers.append(deepcopy(layer).double())
    return nn.Sequential(*layers), told


def watch_torch(network: nn.Sequential) -> list[list[Decision]]:
    """Block by block the decisions of the trainings to come."""
    blocks: list[list[Decision]] = []
    layers = list(network)
    for layer, follower in pairwise(layers):
        if isinstance(layer, nn.ReLU):
            blocks.append([])
            last = follower if isinstance(follower, nn.MaxPool2d) else layer
            last.register_forward_hook(partial(_note_torchs, blocks[-1]))
    return blocks


def watch_engine(network: nn.Module) -> list[list[Decision]]:
    """Block by block the decisions of the trainings to come."""
    layers = [module for module in network.modules() if isinstance(module, Activation)]
    blocks: list[list[Decision]] = [[] for _ in layers]
    for layer, block in zip(layers, blocks, strict=True):
        layer.register_forward_hook(partial(_note_engines, block))
    return blocks


def _note_torchs(block: list[Decision], layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
    places = None
    if isinstance(layer, nn.MaxPool2d):
        places = F.max_pool2d(inputs[0].detach(), layer.kernel_size, return_indices=True)[1]
    block.append((places, output > 0))


def _note_engines(block: list[Decision], layer: Activation, inputs: tuple[Tensor], output: Tensor) -> None:
    places = None
    if layer.norm is not None and layer.pool > 1:
        count, channels, height, width = output.shape
        # A place in a window, as the layer keeps it for its gradient.
        where = torch.from_numpy(output.grad_fn.where).long()  # type: ignore[union-attr]
        where = where.view(count, height, width, channels).permute(0, 3, 1, 2)
        rows = torch.arange(height)[:, None] * layer.pool + where // layer.pool
        places = rows * inputs[0].shape[3] + torch.arange(width) * layer.pool + where % layer.pool
    elif layer.pool > 1:
        places = F.max_pool2d(inputs[0].detach(), layer.pool, return_indices=True)[1]
    block.append((places, output > 0))


@pytest.mark.parametrize("level", ["basic", "advanced"])
def test_the_plain_loops_pictures_are_distorted_like_the_engines(level: str, digits: Data) -> None:
    """Two implementations of one distortion: over many draws the mean images agree, while the undistorted image lies
    far off. (The spreads differ: torchvision rounds a shift to whole pixels.)"""
    mean, std = digits.pixel_mean_std
    index, draws = 3, 3000
    image = digits.train.images[index].float() / 255
    transform = plain_transform(level, mean, std)
    picture = Image.fromarray(digits.train.images[index, 0].numpy())
    torch.manual_seed(0)
    plain = torch.stack([transform(picture) for _ in range(draws)]) * std + mean
    ours = augment(digits.train.images[index].expand(draws, 1, 28, 28), level, torch.Generator().manual_seed(0))
    difference = (plain.mean(0) - ours.mean(0)).abs().max()
    assert difference < (plain.mean(0) - image).abs().max() / 5


def test_the_loader_gives_as_many_batches_as_asked(digits: Data) -> None:
    batches = list(plain_loader(digits, "basic", 64, 20, workers=0))
    assert len(batches) == 20
    assert all(images.shape == (64, 1, 28, 28) and len(labels) == 64 for images, labels in batches)


def coloured(channels: int) -> Data:
    """Images of 20x12 pixels, darker to the right, each channel in its own way."""
    ramp = torch.linspace(240, 10, 12).expand(20, 12)
    images = torch.stack([ramp - 20 * place for place in range(channels)]).clamp(0, 255).to(torch.uint8)
    images = (images.expand(30, channels, 20, 12).int() - torch.arange(30)[:, None, None, None]).clamp(0, 255)
    split = Split(images.to(torch.uint8), torch.arange(30) % 3)
    return Data("coloured", split, split, 3)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_any_number_of_channels_are_prepared_as_the_engine_does(channels: int) -> None:
    data = coloured(channels)
    mean, std = data.pixel_mean_std
    prepared = (data.train.images.float() / 255 - mean) / std
    images = PlainImages(data.train, plain_transform("none", mean, std))
    for index in range(30):
        assert torch.equal(images[index][0], prepared[index])
    [(batch, _)] = plain_loader(data, "basic", 16, 1, workers=0)
    assert batch.shape == (16, channels, 20, 12)
    assert batch.isfinite().all()


def test_coloured_pictures_are_distorted_like_the_engines() -> None:
    """As the grey ones, channel by channel."""
    data, draws = coloured(3), 3000
    mean, std = data.pixel_mean_std
    often = Split(data.train.images[:1].repeat(draws, 1, 1, 1), torch.zeros(draws))
    images = PlainImages(often, plain_transform("advanced", mean, std))
    torch.manual_seed(0)
    plain = torch.stack([images[index][0] for index in range(draws)]) * std + mean
    ours = augment(often.images, "advanced", torch.Generator().manual_seed(0))
    difference = (plain.mean(0) - ours.mean(0)).abs().amax((1, 2))
    undistorted = (plain.mean(0) - data.train.images[0].float() / 255).abs().amax((1, 2))
    assert (difference < undistorted / 5).all()
