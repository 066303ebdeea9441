"""Training, augmentation and schedules."""

import math
from dataclasses import replace

import pytest
import torch

from bench.errors import UsageError
from bench.plan.augmentation import AUGMENTATIONS, Augmentation
from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.plan.levels import Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.augment import augment, draw
from bench.train.data import Data
from bench.train.fit import fit
from bench.train.optim import Schedule, make_update
from bench.train.outcome import Outcome
from bench.train.seeded import build_network
from bench.train.weights import Weights

FACTORS = catalogue().factors

SHORT = Protocol("digits", epochs=2)


def outcome_of(cell: Cell, data: Data, seed: int = 0, protocol: Protocol = SHORT) -> Outcome:
    [outcome] = fit([Trial(cell, seed, protocol)], data)
    return outcome


def without_times(outcome: Outcome) -> Outcome:
    curve = tuple(replace(epoch, seconds=0.0) for epoch in outcome.curve)
    return replace(outcome, curve=curve, train_seconds=0.0)


def test_training_learns_digits(digits: Data) -> None:
    outcome = outcome_of(preset_cell("model3"), digits, protocol=Protocol("digits", epochs=8))
    assert outcome.status == "done"
    assert outcome.curve[-1].held_out_accuracy > 0.9
    right = torch.tensor(outcome.predicted) == digits.held_out.labels
    assert right.double().mean().item() == outcome.curve[-1].held_out_accuracy


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        pytest.param(name, factor, id=f"{name}-{factor.name}")
        for name in catalogue().architectures
        for factor in FACTORS
        if find_architecture(name).applies(factor) and not factor.is_open
    ],
)
def test_every_flip_trains(name: str, factor: Factor, few_digits: Data) -> None:
    cell = preset_cell(name)
    flipped = cell.with_level(factor, factor.flips(cell.levels[factor.name])[0])
    outcome = outcome_of(flipped, few_digits, protocol=Protocol("digits", epochs=1))
    assert math.isfinite(outcome.curve[0].train_loss)
    assert without_times(outcome) != without_times(outcome_of(cell, few_digits, protocol=Protocol("digits", epochs=1)))


def test_a_trial_gives_the_same_bits_whatever_was_trained_before(few_digits: Data) -> None:
    """On one machine: another CPU adds up in other vectors, and rounds otherwise."""
    cell = preset_cell("model2")
    first = without_times(outcome_of(cell, few_digits))
    outcome_of(preset_cell("model3"), few_digits, seed=1)
    torch.rand(17)
    fit([Trial(cell, 3, SHORT), Trial(cell, 4, SHORT)], few_digits)
    assert without_times(outcome_of(cell, few_digits)) == first
    assert without_times(outcome_of(cell, few_digits, seed=3)) != first


def test_switching_a_factor_reseeds_no_other_stream(few_digits: Data) -> None:
    """With and without batch norm, the convolutions start from the same weights."""
    cell = preset_cell("model1")
    flipped = Cell(cell.architecture, Levels(cell.levels, batch_norm=True, dropout=0.1, gap=True))
    weights = [
        build_network(Trial(c, 0, SHORT), few_digits).get_parameter("block1.conv.weight") for c in (cell, flipped)
    ]
    assert torch.equal(*weights)


def test_stacks_hold_one_shape(few_digits: Data) -> None:
    mixed = [Trial(preset_cell(name), 0, SHORT) for name in ("model1", "model2")]
    with pytest.raises(ValueError, match="share shapes and protocol"):
        fit(mixed, few_digits)


def test_a_loss_that_is_not_finite_ends_the_trial(few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=50, lr=1e6)
    outcome = outcome_of(preset_cell("model1"), few_digits, protocol=protocol)
    assert outcome.status == "diverged"
    assert len(outcome.curve) < 50


def test_a_batch_larger_than_the_data_is_refused(few_digits: Data) -> None:
    with pytest.raises(UsageError, match="larger than the 200 training images of digits"):
        outcome_of(preset_cell("model1"), few_digits, protocol=Protocol("digits", batch_size=201))


def rates(scheduler: str, epochs: int, steps_per_epoch: int) -> list[float]:
    cell = preset_cell("model1")
    cell = Cell(cell.architecture, Levels(cell.levels, scheduler=scheduler))
    trial = Trial(cell, 0, Protocol("digits", epochs=epochs, lr=0.5))
    schedule = Schedule(trial, steps_per_epoch)
    return [schedule.take()[0] for _ in range(epochs * steps_per_epoch)]


def test_step_is_constant_for_15_epochs_then_a_tenth() -> None:
    seen = rates("step", epochs=16, steps_per_epoch=3)
    assert seen[:45] == [0.5] * 45
    assert seen[45:] == pytest.approx([0.05] * 3)


def test_onecycle_rises_to_its_peak_and_falls_to_almost_nothing() -> None:
    seen = rates("onecycle", epochs=10, steps_per_epoch=10)
    assert seen[0] == pytest.approx(0.5 / 25)
    assert max(seen) == pytest.approx(0.5, rel=1e-3)
    assert 25 <= seen.index(max(seen)) <= 32
    assert seen[-1] < 1e-4
    assert seen == sorted(seen[: seen.index(max(seen))]) + sorted(seen[seen.index(max(seen)) :])[::-1]


def test_cosine_falls_from_its_rate_to_almost_nothing() -> None:
    seen = rates("cosine", epochs=10, steps_per_epoch=10)
    assert seen == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 100)) for step in range(100)])
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == 0.5
    assert 0 < seen[-1] < 2e-4


@pytest.mark.parametrize("scheduler", ["step", "cosine", "onecycle"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_updates_are_those_of_torchs_optimisers_and_schedulers(optimizer: str, scheduler: str) -> None:
    cell = preset_cell("model1")
    cell = Cell(cell.architecture, Levels(cell.levels, scheduler=scheduler))
    trial = Trial(cell, 0, Protocol("digits", epochs=20, lr=0.1, optimizer=optimizer))  # type: ignore[arg-type]
    theirs = torch.nn.Parameter(torch.linspace(-1, 1, 50))
    ours = theirs.detach().clone()
    reference: torch.optim.Optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    if optimizer == "adamw":
        reference = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.0)
    scheduled: torch.optim.lr_scheduler.LRScheduler
    if scheduler == "onecycle":
        scheduled = torch.optim.lr_scheduler.OneCycleLR(reference, max_lr=0.1, total_steps=60)
    elif scheduler == "cosine":
        scheduled = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=60)
    else:
        scheduled = torch.optim.lr_scheduler.StepLR(reference, 15, 0.1)
    update, schedule = make_update(trial), Schedule(trial, steps_per_epoch=3)
    generator = torch.Generator().manual_seed(0)
    for step in range(60):
        gradient = torch.randn(50, generator=generator)
        theirs.grad = gradient
        reference.step()
        update(ours, gradient, *schedule.take())
        if scheduler != "step" or step % 3 == 2:
            scheduled.step()
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("half", [False, True])
def test_layers_compute_with_one_vector_and_leave_their_gradients_in_one(half: bool, few_digits: Data) -> None:
    network = build_network(Trial(preset_cell("model2"), 0, SHORT), few_digits)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    weights = Weights(network, half=half)
    assert weights.values.numel() == sum(parameter.numel() for parameter in before.values())
    for name, parameter in network.named_parameters():
        rounded = half and ".norm." not in name
        assert parameter.dtype == (torch.bfloat16 if rounded else torch.float32)
        assert torch.equal(parameter.detach(), before[name].to(parameter.dtype))
    weights.values.add_(1)
    weights.publish()
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter.detach(), (before[name] + 1).to(parameter.dtype))
    weights.clear()
    for number, parameter in enumerate(network.parameters(), start=1):
        assert parameter.grad is not None
        parameter.grad.add_(number)
    weights.gather()
    sizes = {number: parameter.numel() for number, parameter in enumerate(network.parameters(), start=1)}
    assert {int(n): int(count) for n, count in zip(*weights.gradient.unique(return_counts=True), strict=True)} == sizes


def blob() -> torch.Tensor:
    """A smooth bright spot in the middle of a 28x28 image."""
    side = torch.arange(28) - 13.5
    return torch.exp(-(side[:, None] ** 2 + side[None, :] ** 2) / 8).mul(255).byte().expand(256, 1, 28, 28)


def centres(images: torch.Tensor) -> torch.Tensor:
    """(N, 2) centre of mass, row and column, from the middle."""
    side = torch.arange(28) - 13.5
    mass = images.sum(dim=(1, 2, 3))
    rows = (images.sum(dim=(1, 3)) * side).sum(dim=1) / mass
    columns = (images.sum(dim=(1, 2)) * side).sum(dim=1) / mass
    return torch.stack([rows, columns], dim=1)


@pytest.mark.parametrize("level", ["basic", "advanced"])
def test_shifts_fill_their_range_one_draw_an_image(level: str) -> None:
    augmented = augment(blob(), level, torch.Generator().manual_seed(0))
    assert augmented.shape == (256, 1, 28, 28)
    moved = centres(augmented)
    does = AUGMENTATIONS[level]
    angle = math.radians(does.rotation)
    # A shift along both axes, turned, lies along one of them by at most this much more.
    limit = does.shift * (1 + does.scale) * (math.cos(angle) + math.sin(angle))
    assert moved.abs().max() <= limit + 0.05
    assert moved.abs().max() > 0.9 * does.shift
    assert len({tuple(row) for row in moved.tolist()}) == 256


def test_rotation_turns_by_up_to_its_angle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUGMENTATIONS, "advanced", Augmentation(rotation=7.0))
    spot = torch.zeros(256, 1, 28, 28, dtype=torch.uint8)
    spot[:, :, 13:15, 23:25] = 255
    moved = centres(augment(spot, "advanced", torch.Generator().manual_seed(0)))
    degrees = torch.rad2deg(torch.atan2(moved[:, 0], moved[:, 1]))
    assert 6.5 < degrees.abs().max() <= 7.1
    assert degrees.min() < -6 < 6 < degrees.max()
    assert (moved.norm(dim=1) - 10).abs().max() < 0.1


def test_none_draws_nothing_and_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = blob()
    assert torch.equal(augment(images, "none", generator), images / 255)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("size", [(28, 28), (8, 13)])
@pytest.mark.parametrize("level", ["basic", "advanced"])
def test_images_are_sampled_as_torch_samples_them(level: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (64, 3, *size), dtype=torch.uint8)
    does = AUGMENTATIONS[level]
    height, width = size
    turn, right, down, grow = draw(64, torch.Generator().manual_seed(1)) * 2 - 1
    angle, zoom = turn * math.radians(does.rotation), 1 / (1 + grow * does.scale)
    rows = [
        torch.stack([angle.cos() * zoom, -angle.sin() * zoom * height / width, right * does.shift * 2 / width], 1),
        torch.stack([angle.sin() * zoom * width / height, angle.cos() * zoom, down * does.shift * 2 / height], 1),
    ]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), [64, 3, *size], align_corners=False)
    expected = torch.nn.functional.grid_sample(images / 255, grid, align_corners=False)
    torch.testing.assert_close(augment(images, level, torch.Generator().manual_seed(1)), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_optimizers_train(optimizer: str, few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=4, lr=0.01, optimizer=optimizer)  # type: ignore[arg-type]
    curve = outcome_of(preset_cell("model3"), few_digits, protocol=protocol).curve
    assert curve[-1].train_loss < curve[0].train_loss
