"""The plain loop is the reference: on the same batches it gives the losses that the engine gives."""

import pytest
import torch
from PIL import Image

from architectures.registry import ARCHITECTURES
from architectures.spec import Level, Levels
from bench.plan.cells import Cell, preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.data import Data
from bench.train.network import plain_network
from bench.train.plain import plain_loader, plain_losses, plain_transform
from bench.train.single import Training

STEPS = 20


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("gap", "batch_norm"), [(True, True), (False, True), (True, False)])
def test_the_engine_follows_the_plain_loop(name: str, gap: bool, batch_norm: bool, digits: Data) -> None:
    """Same weights, same batches, same rate: the losses of 20 steps in float32 agree to 1e-5. Without the two random
    streams, augmentation and dropout, which draw differently."""
    changed: dict[str, Level] = {"gap": gap, "batch_norm": batch_norm, "dropout": 0.0}
    cell = Cell(name, Levels(preset_cell(name).levels, **changed, augmentation="none", scheduler="step"))
    # With batch norm at 0.01 twenty steps make a thousandfold of any rounding: the plain loop in float32 and the plain
    # loop in float64 then differ by 1e-3.
    lr = 3e-5 if batch_norm else 1e-2
    training = Training(Trial(cell, 0, Protocol("digits", lr=lr)), digits)
    network = plain_network(cell, digits.input_shape, digits.classes)
    theirs = dict(zip(network.state_dict(), training.network.state_dict().values(), strict=True))
    network.load_state_dict(theirs)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)

    mean, std = digits.pixel_mean_std
    order = torch.randperm(len(digits.train), generator=torch.Generator().manual_seed(1))
    indices = order.split(training.trial.protocol.batch_size)
    indices = (indices * 2)[:STEPS]
    batches = [((digits.train.images[i].float() / 255 - mean) / std, digits.train.labels[i]) for i in indices]
    plain = list(plain_losses(network, batches, optimizer))
    training.network.train()
    ours = [training.step(i)[0].item() for i in indices]
    assert len(plain) == STEPS
    assert ours == pytest.approx(plain, abs=1e-5)


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
