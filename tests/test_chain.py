"""Runs of convolutions with the images innermost: held to float64, and to the modules that they compute for."""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.attention import ChannelAttention, EfficientChannelAttention, SqueezeExcitation
from architectures.residual import Residual
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.fast import direct
from bench.train.fast.activation import Activation, fast_generator
from bench.train.fast.chain import Chain, Run
from bench.train.fast.fuse import fuse
from bench.train.fast.tiles import KNOWN, KNOWN_PAIRS
from bench.train.single import Training

pytestmark = pytest.mark.skipif(not KNOWN, reason="the CPU has neither AVX-512 nor AVX2")
ROUNDING = 2**-24


def small_network(
    *, batch_norm: bool, pool: int, size: int = 3, padding: int = 1, bias: bool = True, dropout: float = 0.0
) -> nn.Sequential:
    """Channels that fill no tile, an odd map before a pool, blocks in sequentials of their own."""

    def block(inputs: int, outputs: int, width: int) -> nn.Sequential:
        parts: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, padding=padding, bias=bias)]
        parts += [nn.BatchNorm2d(outputs)] * batch_norm
        parts += [nn.ReLU()]
        parts += [nn.MaxPool2d(width)] * (width > 1)
        parts += [nn.Dropout(dropout)] * (dropout > 0)
        return nn.Sequential(*parts)

    torch.manual_seed(0)
    layers = (block(2, 6, 1), block(6, 7, pool), nn.Conv2d(7, 5, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(*layers).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.copy_(torch.linspace(-0.5, 2, module.num_features))
                module.bias.copy_(torch.linspace(-1, 1, module.num_features))
    return network


def separable_network(*, batch_norm: bool, size: int = 3, padding: int = 1, bias: bool = False) -> nn.Sequential:
    """Convolutions of each channel by itself, first of all, between two others, and with all that may follow."""

    def apart(channels: int) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, size, padding=padding, groups=channels, bias=bias)

    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(7)] * batch_norm, [nn.BatchNorm2d(6)] * batch_norm
    layers = (apart(2), nn.Conv2d(2, 7, 1), *norms[0], nn.ReLU(), apart(7), nn.Conv2d(7, 6, 1), nn.ReLU(), apart(6))
    after = (*norms[1], nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3, padding=1))
    return nn.Sequential(*layers, *after, nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()


class Neighbours(ChannelAttention):
    """Somebody's own: gates of one number an image and of the neighbouring image's means; a parameter that is frozen,
    and one that nothing uses."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, channels))
        self.frozen = nn.Parameter(torch.tensor(0.5), requires_grad=False)

    def gates(self, means: Tensor) -> Tensor:
        return (self.frozen + (means + means.roll(1, 0)) @ self.weight)[:, None, None, None]


ATTENTIONS: dict[str, Callable[[], nn.Module] | None] = {
    "off": None,
    "se": lambda: SqueezeExcitation(6),
    "eca": EfficientChannelAttention,
    "own": lambda: Neighbours(6),
}


def attended_network(
    attention: str, *, residual: bool, crop: int = 0, pool: int = 1, batch_norm: bool = True, dropout: float = 0.0
) -> nn.Sequential:
    """A shortcut around a run's first block and around one inside it, both cropping and pooling."""

    def block(inputs: int, outputs: int, width: int, cut: int) -> list[nn.Module]:
        parts: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1 - cut)]
        parts += [nn.BatchNorm2d(outputs)] * batch_norm
        parts += [nn.ReLU()]
        parts += [nn.MaxPool2d(width)] * (width > 1)
        parts += [nn.Dropout(dropout)] * (dropout > 0)
        made = ATTENTIONS[attention]
        return parts if made is None else [*parts, made()]

    torch.manual_seed(0)
    around = [nn.Sequential(*block(6, 6, pool, crop)) for _ in range(2)]
    shortcuts = [Residual(each, crop=crop, pool=pool) for each in around] if residual else around
    layers = (shortcuts[0], nn.Sequential(*block(6, 6, 1, 0)), shortcuts[1], nn.Conv2d(6, 5, 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()


def by_modules(network: nn.Module) -> nn.Module:
    """The fused network without its chains."""
    alone = copy.deepcopy(network)
    for module in alone.modules():
        module.__dict__.pop("forward", None)
    return alone


def everything(network: nn.Module, images: Tensor, *, half: bool = False) -> list[Tensor]:
    """Logits, the gradient of the images, those of all parameters in one vector, and all running statistics in one."""
    asked = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = network(asked)
    labels = torch.arange(len(images)) % logits.shape[1]
    loss = F.cross_entropy(logits.to(images.dtype), labels)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    on_images, *gradients = torch.autograd.grad(loss, [asked, *learned])
    statistics = [buffer for name, buffer in network.named_buffers() if "running" in name]
    vectors = [torch.cat([part.flatten() for part in parts]) for parts in (gradients, statistics) if parts]
    return [logits.detach(), on_images, *vectors]


def errors(results: list[Tensor], exact: list[Tensor]) -> list[float]:
    """As shares of the norms."""
    return [
        ((mine.double() - theirs).norm() / theirs.norm()).item() for mine, theirs in zip(results, exact, strict=True)
    ]


@pytest.mark.parametrize("count", [1, 37, 64])
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_chain_is_as_near_to_float64_as_torch(batch_norm: bool, pool: int, count: int) -> None:
    """Twice as far at most, plus four roundings."""
    check(small_network(batch_norm=batch_norm, pool=pool), torch.randn(count, 2, 13, 11))


@pytest.mark.parametrize(("size", "padding", "bias"), [(1, 0, True), (3, 0, False), (3, 2, True), (5, 2, False)])
def test_kernels_and_borders_of_any_size(size: int, padding: int, bias: bool) -> None:
    network = small_network(batch_norm=not bias, pool=2, size=size, padding=padding, bias=bias)
    check(network, torch.randn(20, 2, 13, 11))


@pytest.mark.parametrize("count", [1, 37])
@pytest.mark.parametrize(("size", "padding", "bias"), [(1, 0, True), (3, 0, False), (3, 1, True), (5, 2, False)])
def test_channels_are_convolved_by_themselves(size: int, padding: int, bias: bool, count: int) -> None:
    network = separable_network(batch_norm=not bias, size=size, padding=padding, bias=bias)
    check(network, torch.randn(count, 2, 13, 11))


@pytest.mark.parametrize("count", [1, 37])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_attention_and_shortcuts_are_part_of_a_run(attention: str, residual: bool, count: int) -> None:
    check(attended_network(attention, residual=residual), torch.randn(count, 6, 13, 11))


@pytest.mark.parametrize("attention", ["off", "se"])
@pytest.mark.parametrize(("crop", "pool"), [(1, 1), (0, 2), (1, 2), (0, 3)])
def test_a_shortcut_crops_and_pools(crop: int, pool: int, attention: str) -> None:
    """Of equal values in a window, such as whole numbers have, the first is taken, as in torch."""
    network = attended_network(attention, residual=True, crop=crop, pool=pool, batch_norm=attention == "off")
    check(network, torch.randint(-2, 3, (20, 6, 19, 17)).float())


def check(plain: nn.Module, images: Tensor) -> None:
    fused = fuse(copy.deepcopy(plain))
    assert isinstance(fused.forward, Chain)
    assert [type(step) for step in fused.forward._steps].count(Run) == 1
    assert not any(isinstance(step, nn.Conv2d | Residual | ChannelAttention) for step in fused.forward._steps)
    exact = everything(copy.deepcopy(plain).double(), images.double())
    torchs = errors(everything(plain, images), exact)
    for mine, theirs in zip(errors(everything(fused, images), exact), torchs, strict=True):
        assert mine <= 2 * theirs + 4 * ROUNDING


@pytest.mark.skipif(not KNOWN_PAIRS, reason="the CPU has no products of pairs of bfloat16")
@pytest.mark.parametrize("made", [partial(small_network, pool=2), separable_network])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_chain_in_bfloat16_is_as_near_to_float64_as_the_modules(
    batch_norm: bool, made: Callable[..., nn.Sequential]
) -> None:
    """Rounded in other places, and less often; a value near 0 may still be taken for one on the other side."""
    plain = made(batch_norm=batch_norm)
    images = torch.randn(37, 2, 13, 11)
    fused = fuse(copy.deepcopy(plain))
    exact = everything(plain.double(), images.double())
    theirs = errors(everything(by_modules(fused), images, half=True), exact)
    for mine, other in zip(errors(everything(fused, images, half=True), exact), theirs, strict=True):
        assert mine <= 1.5 * other + 2**-9


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=pytest.mark.skipif(not KNOWN_PAIRS, reason="bf16"))])
@pytest.mark.parametrize("pool", [1, 2])
def test_a_chain_drops_what_the_modules_drop(pool: int, half: bool) -> None:
    fused = fuse(small_network(batch_norm=True, pool=pool, dropout=0.3))
    alone = by_modules(fused)
    drops_alike(fused, alone, torch.randn(37, 2, 13, 11), half=half)


def test_attention_weighs_what_dropout_left() -> None:
    fused = fuse(attended_network("se", residual=True, pool=2, dropout=0.3))
    drops_alike(fused, by_modules(fused), torch.randn(37, 6, 13, 11), half=False)


def drops_alike(fused: nn.Module, alone: nn.Module, images: Tensor, *, half: bool) -> None:
    """From the same two numbers a call."""
    results = []
    for network in (fused, alone):
        generator = fast_generator(1)
        for module in network.modules():
            if isinstance(module, Activation):
                module.generator = generator
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            results.append(network(images).float())
    tolerance = 0.05 if half else 1e-5
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)


def test_a_graph_keeps_its_numbers_as_long_as_it_lives() -> None:
    """Passes may overlap, come in batches of any size, and be gone through twice."""
    fused = fuse(small_network(batch_norm=False, pool=2))
    alone = by_modules(fused)
    batches = [torch.randn(count, 2, 13, 11) for count in (20, 20, 3, 17, 5, 6, 20)]
    losses = [sum(network(images).square().sum() for images in batches) for network in (fused, alone)]
    for loss in losses:
        loss.backward(retain_graph=True)
        loss.backward()
    for mine, theirs in zip(fused.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-4)


def test_a_graph_with_attention_is_gone_through_twice_and_hooks_see_a_gradient_once() -> None:
    """A parameter's hook that looks at its gradient is called as often as in torch."""
    fused = fuse(attended_network("eca", residual=True))
    alone = by_modules(fused)
    images = [torch.randn(count, 6, 13, 11) for count in (20, 3)]
    seen: list[Tensor] = []
    for network in (fused, alone):
        loss = sum((network(batch).square().sum() for batch in images), torch.zeros(()))
        loss.backward(retain_graph=True)
        loss.backward()
        hooked = network.get_parameter("1.3.conv.weight")
        hooked.register_hook(lambda gradient: seen.append(gradient.clone()))
        network(images[0]).square().sum().backward()
    for mine, theirs in zip(fused.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-3)
    first, second = seen
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)


def test_gradients_are_the_parameters_own() -> None:
    """A second pass writes on nobody's gradient."""
    fused = fuse(small_network(batch_norm=True, pool=1))
    images = torch.randn(20, 2, 13, 11)
    fused(images).square().sum().backward()
    kept = [parameter.grad for parameter in fused.parameters()]
    before = [gradient.clone() for gradient in kept if gradient is not None]
    fused.zero_grad()
    fused(2 * images).square().sum().backward()
    assert all(was is not None and torch.equal(was, now) for was, now in zip(kept, before, strict=True))


def test_who_looks_into_a_network_sees_its_modules_at_work() -> None:
    """Hooks are called, evaluation and other types go through the modules, copies and pickles are their own."""
    fused = fuse(small_network(batch_norm=True, pool=2))
    images = torch.randn(20, 2, 13, 11)
    seen: list[Tensor] = []
    convolution = next(module for module in fused.modules() if isinstance(module, nn.Conv2d))
    hook = convolution.register_forward_hook(lambda _, __, output: seen.append(output))
    looked_at = fused(images)
    hook.remove()
    assert len(seen) == 1
    torch.testing.assert_close(fused(images), looked_at, rtol=1e-4, atol=1e-5)
    for other in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):  # our own
        torch.testing.assert_close(other(images), looked_at, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        assert other(images).abs().max() == 0
        assert fused(images).abs().max() > 0
    assert fused.double()(images.double()).dtype == torch.float64


def test_a_module_that_is_held_twice_computes_twice() -> None:
    torch.manual_seed(0)
    once, twice, relu = nn.Conv2d(2, 5, 3), nn.Conv2d(5, 5, 3), nn.ReLU()
    network = nn.Sequential(once, relu, twice, relu, twice, nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    check(network, torch.randn(20, 2, 13, 11))


class Doubled(SqueezeExcitation):
    """Attention with a forward of its own."""

    def forward(self, maps: Tensor) -> Tensor:
        return 2 * super().forward(maps)


@pytest.mark.parametrize(
    "unknown",
    [
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), Doubled(6)),
        Residual(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.Tanh())),
        Residual(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1))),
        Residual(nn.Conv2d(6, 1, 3, padding=1)),
        Residual(nn.Sequential(nn.Conv2d(6, 6, 3), nn.AdaptiveAvgPool2d((13, 11)))),
    ],
)
def test_blocks_that_a_run_does_not_know_are_computed_by_themselves(unknown: nn.Module) -> None:
    """Before and after them there may be runs."""
    before = nn.Sequential(*attended_network("se", residual=True)[:3])
    network = nn.Sequential(before, unknown, nn.LazyConv2d(6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    images = torch.randn(20, 6, 13, 11)
    network(images)
    fused = fuse(copy.deepcopy(network))
    assert isinstance(fused.forward, Chain)
    assert isinstance(fused.forward._steps[0], Run)
    exact = everything(copy.deepcopy(network).double(), images.double())
    torchs = errors(everything(network, images), exact)
    for mine, theirs in zip(errors(everything(fused, images), exact), torchs, strict=True):
        assert mine <= 2 * theirs + 4 * ROUNDING


def test_what_a_chain_cannot_do_torch_does() -> None:
    """Strides, other groups and wide convolutions end a run; one convolution alone is none; a map too small is
    torch's."""
    for layer in (
        nn.Conv2d(4, 4, 3, stride=2),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 8, 3, groups=4),
        nn.Conv2d(4, 65, 3),
    ):
        assert not isinstance(fuse(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), layer)).forward, Chain)
    network = fuse(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AvgPool2d(2)))
    assert isinstance(network.forward, Chain)
    assert isinstance(network.forward._steps[0], Run)
    with pytest.raises(RuntimeError, match=r"(?i)kernel size"):
        network.train()(torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize("count", [1, 37, 64])
@pytest.mark.parametrize("attention", [*ATTENTIONS])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_networks_are_measured_by_chains_too(attention: str, count: int, batch_norm: bool) -> None:
    """With the running statistics, which stay, and without dropout; as near to float64 as by modules."""
    network = attended_network(attention, residual=True, pool=2, batch_norm=batch_norm, dropout=0.3)
    for _ in range(3):
        network(3 + torch.randn(32, 6, 13, 13))
    images, fused = torch.randn(count, 6, 13, 13), fuse(copy.deepcopy(network))
    before = [buffer.clone() for buffer in fused.buffers()]
    exact = copy.deepcopy(network).double().eval()
    with torch.inference_mode(), mock.patch.object(direct, "forward", wraps=direct.forward) as kernel:
        mine, theirs, right = fused.eval()(images), network.eval()(images), exact(images.double())
    assert kernel.called
    assert all(torch.equal(was, is_now) for was, is_now in zip(before, fused.buffers(), strict=True))
    (my_error,), (their_error,) = errors([mine], [right]), errors([theirs], [right])
    assert my_error <= 2 * their_error + 4 * ROUNDING


@pytest.mark.parametrize("attention", [*ATTENTIONS])
def test_what_inference_mode_made_is_used_outside_of_it(attention: str) -> None:
    network, images = fuse(attended_network(attention, residual=True)), torch.rand(8, 6, 12, 12)
    with torch.inference_mode():
        expected = network.eval()(images)
    with torch.no_grad():
        assert torch.equal(network(images), expected)
    with torch.inference_mode():
        network.train()(images)
    network(images).sum().backward()


def test_who_asks_a_network_in_evaluation_for_gradients_gets_them() -> None:
    network = fuse(small_network(batch_norm=True, pool=2)).eval()
    images = torch.randn(8, 2, 13, 11, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images).sum(), images)
    assert gradient.abs().sum() > 0
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    with torch.no_grad(), mock.patch.object(direct, "forward", wraps=direct.forward) as kernel:
        network(images)
    assert not kernel.called


@pytest.mark.parametrize("name", ["model1", "model3", "model4", "model7"])
def test_trainings_by_chain_and_by_modules_have_the_same_losses(name: str, few_digits: Data) -> None:
    trial = Trial(preset_cell(name), 0, Protocol("digits", lr=0.01, batch_size=50, precision="fp32"))
    losses = []
    for chained in (True, False):
        training = Training(trial, few_digits)
        training.network.train()
        assert isinstance(training.network.forward, Chain)
        assert isinstance(training.network.forward._steps[0], Run)
        if not chained:
            del training.network.forward
        losses.append(torch.stack([training.step(torch.arange(50) + 50 * (step % 4))[0] for step in range(8)]))
        losses[-1] = torch.cat([losses[-1], torch.tensor([training.evaluate()[0][1]])])
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
