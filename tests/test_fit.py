"""Training, augmentation and schedules."""

import math
from dataclasses import replace

import pytest
import torch

from bench.errors import UsageError
from bench.plan.augmentation import AUGMENTATIONS, Augmentation
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import FACTORS
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.data import Data
from bench.train.fit import Outcome, build_network, fit
from bench.train.optim import Schedule, current_rate, make_optimizer

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


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
@pytest.mark.parametrize("name", ["model1", "model2", "model3"])
def test_every_flip_trains(name: str, factor: object, few_digits: Data) -> None:
    cell = preset_cell(name)
    level = getattr(cell.levels, factor.name)  # type: ignore[attr-defined]
    flipped = cell.with_level(factor, factor.flip(level))  # type: ignore[arg-type, attr-defined]
    outcome = outcome_of(flipped, few_digits, protocol=Protocol("digits", epochs=1))
    assert math.isfinite(outcome.curve[0].train_loss)
    assert without_times(outcome) != without_times(outcome_of(cell, few_digits, protocol=Protocol("digits", epochs=1)))


def test_a_trial_gives_the_same_bits_whatever_was_trained_before(few_digits: Data) -> None:
    cell = preset_cell("model2")
    first = without_times(outcome_of(cell, few_digits))
    outcome_of(preset_cell("model3"), few_digits, seed=1)
    torch.rand(17)
    stack = fit([Trial(cell, 3, SHORT), Trial(cell, 0, SHORT)], few_digits)
    assert without_times(stack[1]) == first
    assert without_times(stack[0]) != first


def test_switching_a_factor_reseeds_no_other_stream(few_digits: Data) -> None:
    """With and without batch norm, the convolutions start from the same weights."""
    cell = preset_cell("model1")
    flipped = replace(cell, levels=replace(cell.levels, batch_norm=True, dropout=0.1, gap=True))
    weights = [
        build_network(Trial(c, 0, SHORT), few_digits).get_parameter("block1.conv.weight") for c in (cell, flipped)
    ]
    assert torch.equal(*weights)


def test_stacks_hold_one_shape(few_digits: Data) -> None:
    mixed = [Trial(preset_cell(name), 0, SHORT) for name in ("model1", "model2")]
    with pytest.raises(ValueError, match="same shapes"):
        fit(mixed, few_digits)


def test_a_loss_that_is_not_finite_ends_the_trial(few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=50, lr=1e6)
    outcome = outcome_of(preset_cell("model1"), few_digits, protocol=protocol)
    assert outcome.status == "diverged"
    assert len(outcome.curve) < 50


def test_a_batch_larger_than_the_data_is_refused(few_digits: Data) -> None:
    with pytest.raises(UsageError, match="larger than digits's 200 training images"):
        outcome_of(preset_cell("model1"), few_digits, protocol=Protocol("digits", batch_size=201))


def rates(scheduler: str, epochs: int, steps_per_epoch: int) -> list[float]:
    cell = preset_cell("model1")
    cell = replace(cell, levels=replace(cell.levels, scheduler=scheduler))
    trial = Trial(cell, 0, Protocol("digits", epochs=epochs, lr=0.5))
    optimizer = make_optimizer(trial, [torch.nn.Parameter(torch.zeros(1))])
    schedule = Schedule(trial, optimizer, steps_per_epoch)
    seen = []
    for _ in range(epochs):
        for _ in range(steps_per_epoch):
            seen.append(current_rate(optimizer))
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch()
    return seen


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


def blob() -> torch.Tensor:
    """A smooth bright spot in the middle of a 28x28 image."""
    side = torch.arange(28) - 13.5
    return torch.exp(-(side[:, None] ** 2 + side[None, :] ** 2) / 8).expand(256, 1, 28, 28)


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
    spot = torch.zeros(256, 1, 28, 28)
    spot[:, :, 13:15, 23:25] = 1.0
    moved = centres(augment(spot, "advanced", torch.Generator().manual_seed(0)))
    degrees = torch.rad2deg(torch.atan2(moved[:, 0], moved[:, 1]))
    assert 6.5 < degrees.abs().max() <= 7.1
    assert degrees.min() < -6 < 6 < degrees.max()
    assert (moved.norm(dim=1) - 10).abs().max() < 0.1


def test_none_draws_nothing_and_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = blob()
    assert augment(images, "none", generator) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_optimizers_train(optimizer: str, few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=4, lr=0.01, optimizer=optimizer)  # type: ignore[arg-type]
    curve = outcome_of(preset_cell("model3"), few_digits, protocol=protocol).curve
    assert curve[-1].train_loss < curve[0].train_loss
