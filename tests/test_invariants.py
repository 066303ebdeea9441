"""What every training must hold to, seen in a few steps: its seed counts, images come shuffled and distorted, and
accuracies are of images that nothing was trained on."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plan.catalogue import catalogue, find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Level
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.data import Data, Split
from bench.train.fit import fit
from bench.train.general import GeneralTraining
from bench.train.network import plain_network
from bench.train.recipe import Recipe
from bench.train.single import Training
from bench.train.stack import StackTraining

CPU = torch.device("cpu")
ONE_EPOCH = Protocol("digits", epochs=1)
PRESET = preset_cell("model3")
Way = Callable[[Trial, Data], Training | StackTraining | GeneralTraining]
WAYS: dict[str, Way] = {
    "single": Training,
    "stack": lambda trial, data: StackTraining([trial], data, CPU),
    "general": lambda trial, data: GeneralTraining(trial, data, Recipe(), CPU),
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def with_level(cell: Cell, name: str, level: Level) -> Cell:
    [factor] = find_factors([name])
    return cell.with_level(factor, level)


def switched() -> list[Cell]:
    """Every level of every factor on every architecture's preset, but for those that draw random numbers."""
    cells = (
        preset_cell(name).with_level(factor, level)
        for name in catalogue().architectures
        for factor in catalogue().factors
        for level in factor.levels
    )
    return list(dict.fromkeys(with_level(with_level(cell, "dropout", 0.0), "augmentation", "none") for cell in cells))


def images_of(way: str, trial: Trial, data: Data, monkeypatch: pytest.MonkeyPatch, epochs: int = 1) -> list[list[int]]:
    """The training images of each epoch, by their index and in their order."""
    taken: list[int] = []
    take = Split.take

    def seen(split: Split, indices: Tensor) -> Split:
        if split is data.train:
            taken.extend(indices.flatten().tolist())
        return take(split, indices)

    with monkeypatch.context() as patch:
        patch.setattr(Split, "take", seen)
        training = WAYS[way](trial, data)
        taken.clear()
        for _ in range(epochs):
            training.epoch()
    return [taken[start : start + len(data.train)] for start in range(0, len(taken), len(data.train))]


@pytest.mark.parametrize("way", ["single", "general"])  # a stack is as many single ones: see test_stack.py
def test_every_epoch_takes_each_image_once_in_an_order_of_its_own(
    way: str, few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(PRESET, 0, replace(ONE_EPOCH, epochs=2))
    first, second = images_of(way, trial, few_digits, monkeypatch, epochs=2)
    [other] = images_of(way, replace(trial, seed=1), few_digits, monkeypatch)
    for order in (first, second, other):
        assert sorted(order) == list(range(len(few_digits.train)))
        neighbours = sum(after == before + 1 for before, after in pairwise(order))
        assert neighbours < 10
    assert len({tuple(first), tuple(second), tuple(other)}) == 3


@EVERY_WAY
def test_a_seed_decides_where_a_network_starts(way: str, few_digits: Data) -> None:
    def start(seed: int) -> list[Tensor]:
        network = WAYS[way](Trial(PRESET, seed, ONE_EPOCH), few_digits).network
        return [weights.detach().clone() for weights in network.parameters()]

    first, again, other = start(0), start(0), start(1)
    assert all(map(torch.equal, first, again))
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True) if one.std() > 0)


def test_seeds_give_different_accuracies_and_the_same_seed_the_same(few_digits: Data) -> None:
    outcomes = [fit([Trial(PRESET, seed, ONE_EPOCH)], few_digits)[0] for seed in (0, 1, 2, 0)]
    losses = [outcome.curve[-1].train_loss for outcome in outcomes]
    assert losses[0] == losses[3]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("level", [level for level in find_factors(["augmentation"])[0].levels if level != "none"])
def test_an_augmentation_changes_nearly_every_image_each_time_otherwise(level: str, few_digits: Data) -> None:
    images = few_digits.train.images[:100].float() / 255
    generator = torch.Generator().manual_seed(0)
    once, twice = (augment(images.clone(), level, generator) for _ in range(2))
    for one, other in ((images, once), (images, twice), (once, twice)):
        assert (one != other).flatten(1).any(1).double().mean() > 0.9


def test_training_uses_the_augmentation_of_its_cell(few_digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[str] = []

    def seen(images: Tensor, level: str, generator: torch.Generator) -> Tensor:
        levels.append(level)
        return augment(images, level, generator)

    monkeypatch.setattr("bench.train.single.augment", seen)
    for level in find_factors(["augmentation"])[0].levels:
        Training(Trial(with_level(PRESET, "augmentation", level), 0, ONE_EPOCH), few_digits).epoch()
    assert list(dict.fromkeys(levels)) == list(find_factors(["augmentation"])[0].levels)


@EVERY_WAY
def test_what_is_measured_is_of_the_test_images(way: str, few_digits: Data) -> None:
    """Whatever these are, the training is the same."""
    trial, held_out = Trial(PRESET, 0, ONE_EPOCH), few_digits.held_out
    other = replace(few_digits, held_out=Split(held_out.images.flip(-1).contiguous(), held_out.labels))
    trained: list[tuple[int, float]] = []
    measured: list[float] = []
    for data in (few_digits, other):
        training = WAYS[way](trial, data)
        trained += training.epoch()
        [(predicted, loss)] = training.evaluate()
        assert len(predicted) == len(held_out)
        measured.append(loss)
        if isinstance(training, Training):
            logits = training.network.eval()(training.prepare(data.held_out.images.float() / 255))
            assert loss == pytest.approx(F.cross_entropy(logits, held_out.labels).item(), rel=1e-4)
    assert trained[0] == trained[1]
    assert measured[0] != measured[1]


def test_an_accuracy_is_the_share_of_test_labels_that_were_predicted(few_digits: Data) -> None:
    [outcome] = fit([Trial(PRESET, 0, replace(ONE_EPOCH, epochs=3, batch_size=16))], few_digits)
    right = torch.tensor(outcome.predicted) == few_digits.held_out.labels
    assert outcome.curve[-1].held_out_accuracy == right.double().mean().item()


def test_no_training_image_is_among_the_test_images(digits: Data) -> None:
    trained = {image.numpy().tobytes() for image in digits.train.images}
    assert not any(image.numpy().tobytes() in trained for image in digits.held_out.images)


@pytest.mark.parametrize("cell", switched(), ids=lambda cell: cell.label)
def test_the_first_steps_are_plain_torchs(cell: Cell, few_digits: Data) -> None:
    """Losses, and the way that the weights go past the end of an epoch, of the network as it is written in float64.
    A ReLU decides otherwise within a rounding of 0, hence 3 % of the way."""
    training = Training(Trial(cell, 0, Protocol("digits", epochs=2, lr=RATE, batch_size=50)), few_digits)
    training.network.train()
    plain = plain_network(cell, few_digits.input_shape, few_digits.classes).double().train()
    state = training.network.state_dict().values()
    plain.load_state_dict({name: value.double() for name, value in zip(plain.state_dict(), state, strict=True)})
    start = flat(plain)
    optimizer, schedule = torchs(cell, plain)
    mean, std = few_digits.pixel_mean_std
    for step in range(6):
        indices = torch.arange(50 * step, 50 * step + 50) % len(few_digits.train)
        loss, _ = training.step(indices)
        images = (few_digits.train.images[indices].double() / 255 - mean) / std
        expected = F.cross_entropy(plain(images), few_digits.train.labels[indices])
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5 if step == 0 else 1e-3)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        schedule(step)
    error = ((flat(training.network) - flat(plain)).norm() / (flat(plain) - start).norm()).item()
    assert error < 0.03


RATE = 0.001
STEPS = 4  # of an epoch


def flat(network: nn.Module) -> Tensor:
    return torch.cat([weights.detach().double().flatten() for weights in network.parameters()])


def torchs(cell: Cell, network: nn.Module) -> tuple[torch.optim.Optimizer, Callable[[int], None]]:
    """What the cell's optimiser and schedule are in torch; the latter is called after each step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    if cell.levels["scheduler"] == "onecycle":
        onecycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=2 * STEPS)
        return optimizer, lambda _: onecycle.step()
    if cell.levels["scheduler"] == "cosine":
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * STEPS)
        return optimizer, lambda _: cosine.step()
    stepped = torch.optim.lr_scheduler.StepLR(optimizer, 15, 0.1)
    return optimizer, lambda step: stepped.step() if step % STEPS == STEPS - 1 else None


@pytest.mark.parametrize("name", ["model1", "model2", "model3"])  # model4's maps are rounded, and not its weights
def test_a_step_in_bf16_moves_the_rounded_weights_that_the_next_one_computes_with(
    name: str, few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left as they were at first, the copies would give every batch the first network's gradient, and training would
    still go somewhere. So the weights that are measured, rounded, are those that the network computes with."""
    trial = Trial(preset_cell(name), 0, replace(ONE_EPOCH, precision="bf16", lr=0.05))
    measured: list[nn.Module] = []

    def seen(network: nn.Module, *_: object) -> tuple[Tensor, Tensor]:
        measured.append(network)
        return torch.zeros((1, 1), dtype=torch.int64), torch.zeros(1)

    monkeypatch.setattr("bench.train.single.evaluate", seen)
    training = Training(trial, few_digits)
    training.evaluate()
    start = flat(training.network)
    for step in range(3):
        training.step(torch.arange(64 * step, 64 * step + 64) % len(few_digits.train))
    rounded = [own for own in training.network.parameters() if own.dtype == torch.bfloat16]
    exact = [
        other.bfloat16()
        for own, other in zip(training.network.parameters(), measured[0].parameters(), strict=True)
        if own.dtype == torch.bfloat16
    ]
    assert rounded
    assert all(map(torch.equal, rounded, exact))
    assert (flat(training.network) - start).norm() > 0
