"""What networks in general may rely on: precision, tied weights, attention, stacks of any layers."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train import fit as fit_module
from bench.train import seeded
from bench.train.data import Data, Split
from bench.train.evaluation import evaluate
from bench.train.fast.stacked import StackedNetwork, _drop
from bench.train.fit import fit
from bench.train.single import Training
from bench.train.stack import StackTraining
from bench.train.weights import Weights, can_round

BF16 = Protocol("digits", epochs=1, precision="bf16", lr=0.01)


class Tied(nn.Module):
    """One matrix twice, as in a weight-tied autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU())
        self.back = nn.Linear(16, 784, bias=False)
        self.back.weight = nn.Parameter(torch.empty(784, 16).normal_(0, 0.1))
        self.again = nn.Linear(16, 784, bias=False)
        self.again.weight = self.back.weight
        self.head = nn.Linear(784, 10)

    def forward(self, images: Tensor) -> Tensor:
        values = self.features(images)
        logits: Tensor = self.head(torch.tanh(self.back(values)) + torch.tanh(self.again(values)))
        return logits


class Attention(nn.Module):
    """Rows of the image attend to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(28, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        rows = self.into(images.squeeze(1))
        rows = self.norm(rows + self.attention(rows, rows, rows, need_weights=False)[0])
        logits: Tensor = self.head(rows.mean(1))
        return logits


class LayerScale(nn.Module):
    """A parameter of its own between convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.1))
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.gelu(self.first(images))
        maps = maps + self.scale * self.second(maps)
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


@pytest.mark.parametrize("build", [Tied, Attention, LayerScale])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_any_module_trains_in_either_precision(
    build: Callable[[], nn.Module], precision: str, digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeded, "plain_network", lambda *_: build())
    protocol = Protocol("digits", epochs=1, precision="bf16" if precision == "bf16" else "fp32", lr=0.02)
    training = Training(Trial(preset_cell("model1"), 0, protocol), digits)
    training.network.train()
    before = [parameter.detach().float().clone() for parameter in training.network.parameters()]
    order = torch.randperm(len(digits.train), generator=torch.Generator().manual_seed(0))
    losses = [float(training.step(indices)[0]) for _ in range(8) for indices in order.split(64)]
    assert sum(losses[-14:]) < sum(losses[:14])
    for parameter, old in zip(training.network.parameters(), before, strict=True):
        assert not torch.equal(parameter.detach().float(), old)
    [(predicted, loss)] = training.evaluate()
    assert predicted.shape == digits.held_out.labels.shape
    assert loss < 2.3


def test_what_can_compute_with_rounded_copies() -> None:
    assert can_round(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)))
    assert not any(map(can_round, (Tied(), Attention(), LayerScale())))


def test_tied_parameters_stay_tied_in_one_vector() -> None:
    tied = Tied()
    weights = Weights(tied, half=False)
    assert weights.values.numel() == sum(parameter.numel() for parameter in tied.parameters())
    weights.values.add_(1.0)
    assert torch.equal(tied.back.weight, tied.again.weight)
    assert tied.back.weight.data_ptr() == tied.again.weight.data_ptr()


def test_in_bfloat16_accuracy_is_that_of_the_float32_weights_in_float32(few_digits: Data) -> None:
    """Rounded to bfloat16, logits tie, and ties go to the lower class."""
    training = Training(Trial(preset_cell("model3"), 0, BF16), few_digits)
    training.epoch()
    [(predicted, loss)] = training.evaluate()
    exact = Training(Trial(preset_cell("model3"), 0, Protocol("digits", epochs=1, lr=0.01)), few_digits)
    # The same float32 weights in a network that trains in float32; both vectors begin with what multiplies.
    for mine, theirs in zip(exact._weights.exact.parameters(), training._weights.exact.parameters(), strict=True):
        assert theirs.dtype == torch.float32
        mine.data.copy_(theirs.data)
    for buffer, other in zip(exact.network.buffers(), training.network.buffers(), strict=True):
        buffer.copy_(other)
    [(expected, expected_loss)] = exact.evaluate()
    assert torch.equal(predicted, expected)
    assert loss == expected_loss
    assert all(parameter.dtype == torch.bfloat16 for parameter in training.network.parameters() if parameter.ndim == 4)


def test_logits_that_tie_in_bfloat16_do_not_tie() -> None:
    """256.5 and 257 are one bfloat16."""
    images = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    logits = torch.tensor([[256.0, 257.0], [257.0, 256.5], [1.0, 1.001]])
    assert (logits.bfloat16()[:, 0] == logits.bfloat16()[:, 1]).any()

    class Fixed(nn.Module):
        def forward(self, _images: Tensor) -> Tensor:
            return logits

    predicted, losses = evaluate(Fixed(), Split(images, torch.tensor([1, 0, 1])), lambda images: images)
    assert predicted[:, 0].tolist() == [1, 0, 1]
    assert losses.dtype == torch.float64


def test_dropouts_scale_is_exact_in_a_stack_of_bfloat16_maps() -> None:
    """1 / 0.9 is 1.1111; rounded to bfloat16 before it multiplies it would be 1.109375, and maps 0.16 % too small."""
    maps = torch.linspace(0.5, 2, 8 * 1 * 4 * 6 * 6).view(8, 1, 4, 6, 6).bfloat16()
    nothing = torch.full((1,), -(2**31), dtype=torch.int32)
    dropped = _drop(maps, torch.zeros(1, 2, dtype=torch.int32), nothing, torch.tensor([1 / 0.9]))
    assert torch.equal(dropped, (maps.float() * torch.tensor(1 / 0.9)).bfloat16())


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "stride": lambda: nn.Conv2d(2, 3, 3, stride=2),
    "dilation": lambda: nn.Conv2d(2, 3, 3, dilation=2),
    "another padding": lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
    "no bias": lambda: nn.Conv2d(2, 3, 3, bias=False),
    "groups": lambda: nn.Conv2d(2, 4, 3, groups=2),
    "a linear layer without bias": lambda: nn.Sequential(nn.Flatten(), nn.Linear(2 * 12 * 12, 5, bias=False)),
    "batch norm with another epsilon": lambda: nn.Sequential(nn.Conv2d(2, 3, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_computes_what_its_members_do(name: str) -> None:
    torch.manual_seed(0)
    members = [nn.Sequential(LAYERS[name](), nn.Flatten()) for _ in range(3)]
    images = torch.randn(4, 2, 12, 12)
    together = StackedNetwork(members)(images.repeat(1, 3, 1, 1))
    for number, member in enumerate(members):
        torch.testing.assert_close(together[:, number], member(images).flatten(1))


def test_members_that_differ_in_more_than_weights_are_refused() -> None:
    members = [nn.Sequential(nn.Conv2d(2, 3, 3, stride=stride)) for stride in (1, 2)]
    with pytest.raises(ValueError, match="differ in more than their weights"):
        StackedNetwork(members)


class _Shifted(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        return super().forward(input) + 1


def test_a_subclass_is_not_taken_for_its_parent() -> None:
    with pytest.raises(ValueError, match="_Shifted can't be stacked"):
        StackedNetwork([nn.Sequential(_Shifted(2, 3, 3)) for _ in range(2)])


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_batch_larger_than_the_data_is_refused_alone_and_in_a_stack(seeds: int, few_digits: Data) -> None:
    protocol = Protocol("digits", epochs=1, batch_size=201)
    with pytest.raises(UsageError, match="--batch-size 201 is larger than the 200 training images of digits"):
        fit([Trial(preset_cell("model1"), seed, protocol) for seed in range(seeds)], few_digits)


def test_a_stack_in_bfloat16_is_measured_in_float32(few_digits: Data) -> None:
    stack = StackTraining(
        [Trial(preset_cell("model3"), seed, BF16) for seed in (0, 1)], few_digits, torch.device("cpu")
    )
    assert all(parameter.dtype == torch.float32 for parameter in stack._weights.exact.parameters())
    assert any(parameter.dtype == torch.bfloat16 for parameter in stack.network.parameters())
    stack.epoch()
    measured = stack.evaluate()
    assert len(measured) == 2
    assert all(predicted.shape == (100,) for predicted, _ in measured)


def one_pixel(*_: object) -> nn.Module:
    """Batch norm at the end of a network that shrinks its map to one pixel."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 28), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )


@pytest.mark.parametrize(("images", "refused"), [(65, True), (66, False), (64, False)])
def test_a_last_batch_with_one_value_a_channel_is_refused_before_the_training(
    images: int, refused: bool, few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_module, "plain_network", one_pixel)
    monkeypatch.setattr(seeded, "plain_network", one_pixel)
    data = Data("digits", few_digits.train.take(torch.arange(images)), few_digits.held_out, 10)
    trial = Trial(preset_cell("model1"), 0, Protocol("digits", epochs=1, batch_size=32))
    if refused:
        with pytest.raises(
            UsageError, match="--batch-size 32 leaves the last of the 65 training images of digits alone"
        ):
            fit([trial], data)
    else:
        assert fit([trial], data)[0].status == "done"


def test_one_image_alone_is_fine_where_maps_have_more_pixels(few_digits: Data) -> None:
    data = Data("digits", few_digits.train.take(torch.arange(65)), few_digits.held_out, 10)
    trial = Trial(preset_cell("model2"), 0, Protocol("digits", epochs=1, batch_size=32))
    assert fit([trial], data)[0].status == "done"
