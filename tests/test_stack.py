"""A stack trains every member as it would train alone. Everything but speed holds on a CPU too."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.run.runner import stacked
from bench.run.worker import train_stack
from bench.train import fit as fit_module
from bench.train.data import Data
from bench.train.fast.activation import Activation
from bench.train.fast.stacked import StackedActivation, StackedNetwork
from bench.train.fit import fit
from bench.train.single import Training
from bench.train.stack import StackTraining

ARCHITECTURES = catalogue().architectures

STEPS = 20
CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def mixed_levels(name: str, protocol: Protocol, *, batch_norm: bool, gap: bool) -> list[Trial]:
    """Four members that differ in seed and in every level that leaves the shapes alone."""
    preset = preset_cell(name).levels
    differing: list[dict[str, Level]] = [
        {"augmentation": "none", "dropout": 0.1, "scheduler": "step"},
        {"augmentation": "basic", "dropout": 0.0, "scheduler": "onecycle"},
        {"augmentation": "advanced", "dropout": 0.1, "scheduler": "onecycle"},
        {"augmentation": "advanced", "dropout": 0.1, "scheduler": "step"},
    ]
    return [
        Trial(
            Cell(name, Levels({**preset, **levels}, batch_norm=batch_norm, gap=gap)),
            seed,
            replace(protocol, lr=protocol.lr * (1 + seed)) if protocol.lr is not None else protocol,
        )
        for seed, levels in enumerate(differing)
    ]


def batches(data: Data, trials: Sequence[Trial]) -> Tensor:
    """(STEPS, K, B) training images, each member its own."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(len(data.train), (STEPS, len(trials), trials[0].protocol.batch_size), generator=generator)


def losses_alone(trials: Sequence[Trial], data: Data) -> tuple[Tensor, list[Training]]:
    """(STEPS, K) losses of separate trainings, and these."""
    trainings = [Training(trial, data) for trial in trials]
    for training in trainings:
        training.network.train()
    losses = [
        [training.step(indices)[0].item() for training, indices in zip(trainings, step, strict=True)]
        for step in batches(data, trials)
    ]
    return torch.tensor(losses, dtype=torch.float64), trainings


def losses_together(trials: Sequence[Trial], data: Data, device: torch.device) -> tuple[Tensor, StackTraining]:
    stack = StackTraining(trials, data, device)
    stack.network.train()
    sums = [torch.zeros(len(trials), dtype=torch.float64)]
    for step in batches(data, trials):
        stack.steps(step[None])
        sums.append(stack.loss_sums.cpu().clone())
    return torch.stack(sums).diff(dim=0) / trials[0].protocol.batch_size, stack


@pytest.mark.parametrize(
    ("name", "optimizer", "batch_norm", "gap"),  # model2 is made of model1's layers
    [
        ("model1", "sgd", True, True),
        ("model1", "sgd", False, False),
        ("model3", "sgd", True, True),
        ("model3", "adamw", False, True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("model1", "sgd", True, False),
                ("model1", "sgd", False, True),
                ("model1", "adamw", False, True),
                ("model3", "sgd", True, False),
                ("model3", "sgd", False, True),
                ("model3", "sgd", False, False),
            ]
        ),
    ],
)
def test_a_stack_is_as_many_separate_trainings(
    name: str, optimizer: str, batch_norm: bool, gap: bool, digits: Data
) -> None:
    # With batch norm, twenty steps at a usual rate make a thousandfold of any rounding (see test_plain.py), and AdamW
    # makes a whole step of a gradient that is nothing else.
    lr = 1e-5 if batch_norm or optimizer == "adamw" else 1e-3
    # Small batches take a third of the time, but the fewer values batch norm averages, the more it makes of rounding.
    size = 64 if batch_norm else 16
    protocol = Protocol("digits", lr=lr, batch_size=size, optimizer="adamw" if optimizer == "adamw" else "sgd")
    trials = mixed_levels(name, protocol, batch_norm=batch_norm, gap=gap)
    alone, trainings = losses_alone(trials, digits)
    together, stack = losses_together(trials, digits, CPU)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)
    assert together.unique(dim=1).shape == together.shape, "two members trained alike"
    norms = [module for module in stack.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == ({"model1": 6, "model2": 6, "model3": 5}[name] if batch_norm else 0)
    for number, training in enumerate(trainings):
        own = [module for module in training.network.modules() if isinstance(module, nn.BatchNorm2d)]
        for mine, theirs in zip(norms, own, strict=True):
            channels = slice(number * theirs.num_features, (number + 1) * theirs.num_features)
            for buffer in ("running_mean", "running_var"):
                part, whole = getattr(mine, buffer)[channels], getattr(theirs, buffer)
                torch.testing.assert_close(part, whole, rtol=1e-3, atol=1e-4)


def test_stacks_of_any_size_give_the_same_outcomes(few_digits: Data) -> None:
    """Two epochs of four steps, the last of 8 images; the curves agree to rounding, the bits of a trial alone don't
    change with what was trained before."""
    trials = mixed_levels("model1", Protocol("digits", epochs=2, lr=1e-3), batch_norm=False, gap=False)
    alone = [fit([trial], few_digits)[0] for trial in trials]
    for sizes in ((4,), (1, 3), (2, 2)):
        remaining = list(trials)
        outcomes = [outcome for size in sizes for outcome in fit([remaining.pop(0) for _ in range(size)], few_digits)]
        for mine, theirs in zip(outcomes, alone, strict=True):
            assert mine.status == theirs.status == "done"
            for epoch, expected in zip(mine.curve, theirs.curve, strict=True):
                assert epoch.train_loss == pytest.approx(expected.train_loss, abs=1e-4)
                assert epoch.held_out_loss == pytest.approx(expected.held_out_loss, abs=1e-4)
                assert epoch.train_accuracy == pytest.approx(expected.train_accuracy, abs=0.011)
                assert epoch.lr == expected.lr
            assert len(mine.predicted) == len(few_digits.held_out)


def test_a_member_that_diverges_leaves_the_others_alone(few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=3, lr=1e-3)
    wild = Trial(preset_cell("model1"), 1, replace(protocol, lr=1e9))
    calm = [Trial(preset_cell("model1"), seed, protocol) for seed in (0, 2)]
    first, diverged, last = fit([calm[0], wild, calm[1]], few_digits)
    assert diverged.status == "diverged"
    assert len(diverged.curve) < 3
    assert not math.isfinite(diverged.curve[-1].train_loss + diverged.curve[-1].held_out_loss)
    for trial, outcome in zip(calm, (first, last), strict=True):
        assert outcome.status == "done"
        [alone] = fit([trial], few_digits)
        assert outcome.curve[-1].train_loss == pytest.approx(alone.curve[-1].train_loss, abs=1e-4)


def test_too_little_memory_halves_the_stack_and_goes_on(few_digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    class Small(StackTraining):
        def __init__(self, trials: Sequence[Trial], data: Data, device: torch.device) -> None:
            tried.append(len(trials))
            if len(trials) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(trials, data, device)

    monkeypatch.setattr(fit_module, "StackTraining", Small)
    trials = [Trial(preset_cell("model1"), seed, Protocol("digits", epochs=1)) for seed in range(5)]
    trained = train_stack(trials, few_digits)
    assert tried == [5, 2, 3, 2]
    assert [one.trial for one in trained] == trials
    for one in trained:
        assert one.outcome is not None
        [alone] = fit([one.trial], few_digits)
        assert one.outcome.curve[0].train_loss == pytest.approx(alone.curve[0].train_loss, abs=1e-4)


def test_too_little_memory_for_one_trial_is_the_reason_of_its_failure(
    few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(_stack: Sequence[Trial], _data: Data, _start: object, _taught: object) -> StackTraining:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(fit_module, "begin", nothing_left)
    [first, second] = train_stack(
        [Trial(preset_cell("model1"), seed, Protocol("digits")) for seed in (0, 1)], few_digits
    )
    assert first.outcome is second.outcome is None
    assert first.error == "OutOfMemoryError: CUDA out of memory"


def test_on_a_gpu_trials_of_one_shape_are_a_stack_and_on_a_cpu_none_are() -> None:
    cells = [preset_cell("model1"), preset_cell("model2"), preset_cell("model3")]
    flipped = [Cell(cell.architecture, Levels(cell.levels, dropout=0.1, scheduler="onecycle")) for cell in cells]
    protocol = Protocol("digits")
    planned = [Trial(cell, seed, protocol) for seed in (0, 1) for cell in (*cells, *flipped)]
    assert stacked(planned) == [[trial] for trial in planned]
    on_gpu = [replace(trial, protocol=replace(protocol, device="cuda")) for trial in planned]
    stacks = stacked(on_gpu)
    assert [{trial.cell.architecture for trial in stack} for stack in stacks] == [{"model1"}, {"model2"}, {"model3"}]
    assert [len(stack) for stack in stacks] == [4, 4, 4]
    other = replace(on_gpu[0], protocol=replace(on_gpu[0].protocol, precision="bf16"))
    assert len(stacked([on_gpu[0], other])) == 2


def test_dropout_in_a_stack_drops_what_each_member_drops_alone() -> None:
    torch.manual_seed(0)
    layers = [Activation(nn.BatchNorm2d(8), pool=2, dropout=rate) for rate in (0.1, 0.5, 0.0)]
    stack = StackedActivation(layers)
    maps = torch.randn(16, 3, 8, 12, 10)
    keys = torch.randint(-(2**31), 2**31, (3, 2)).int()
    stack.keys.copy_(keys)
    together = stack(maps.flatten(1, 2)).unflatten(1, (3, 8))
    for number, layer in enumerate(layers):
        layer.draw_keys = lambda number=number: keys[number].numpy().view("uint32") if number < 2 else None  # type: ignore[method-assign, misc]
        alone = layer(maps[:, number])
        assert ((alone == 0) == (together[:, number] == 0)).all()
        torch.testing.assert_close(together[:, number], alone, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ValueError, match="Tanh can't be stacked"):
        StackedNetwork([nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh())])


@GPU
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_gpu_trains_as_the_cpu_does(name: str, digits: Data) -> None:
    """Beyond the recorded step's warm-up, in float32 without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    preset = preset_cell(name).levels
    protocol = Protocol("digits", lr=1e-5 if preset["batch_norm"] else 1e-3)
    trials = mixed_levels(name, protocol, batch_norm=bool(preset["batch_norm"]), gap=bool(preset["gap"]))
    alone, _ = losses_alone(trials, digits)
    together, _ = losses_together(trials, digits, torch.device("cuda"))
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)
