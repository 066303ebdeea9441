"""Every registered architecture, under every level that changes the network."""

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from architectures.attention import attend
from architectures.blocks import assemble
from architectures.model3 import model3
from architectures.residual import Residual
from architectures.spec import Classifier, Conv
from bench.errors import UsageError
from bench.plan.architecture import Architecture
from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.factors import Factor
from bench.plan.levels import Level
from bench.train.fast.activation import fast_generator
from tests.conftest import activation

ARCHITECTURES = catalogue().architectures
FACTORS = catalogue().factors

SHAPE = (1, 28, 28)
EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)


def switches(architecture: Architecture) -> list[Factor]:
    """The factors that change its network."""
    return [
        factor for factor in FACTORS if factor.changes_network and architecture.applies(factor) and not factor.is_open
    ]


def every_level(architecture: Architecture) -> list[dict[str, Level]]:
    """Every combination of the levels of its switches."""
    own = switches(architecture)
    named = [factor.name for factor in own]
    return [dict(zip(named, levels, strict=True)) for levels in product(*(factor.levels for factor in own))]


def built(
    architecture: Architecture, levels: Mapping[str, Level] = MappingProxyType({}), shape: tuple[int, int, int] = SHAPE
) -> nn.Module:
    """The network with these levels, the others at its preset."""
    network: nn.Module = architecture.build(shape, 10, **levels)
    return network


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("architecture", "levels"),
    [(architecture, levels) for architecture in ARCHITECTURES.values() for levels in every_level(architecture)],
    ids=lambda value: value.name if isinstance(value, Architecture) else "-".join(map(str, value.values())),
)
def test_every_level_trains(architecture: Architecture, levels: dict[str, Level]) -> None:
    network = built(architecture, levels)
    logits = network(torch.rand(4, *SHAPE))
    assert logits.shape == (4, 10)
    assert torch.isfinite(logits).all()
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@EVERY
def test_each_switch_changes_the_network(architecture: Architecture) -> None:
    off = {factor.name: factor.off for factor in switches(architecture)}
    for factor in switches(architecture):
        found = [str(built(architecture, {**off, factor.name: level})) for level in factor.levels]
        assert len(set(found)) == len(factor.levels), factor.name


@EVERY
def test_no_preset_has_more_than_8000_parameters(architecture: Architecture) -> None:
    assert parameters_of(built(architecture)) <= 8_000


@EVERY
def test_residual_connections_and_attention_come_at_matched_parameters(architecture: Architecture) -> None:
    matched = {"residual", "attention"} & set(architecture.keywords)
    for levels in every_level(architecture) if matched else []:
        without = parameters_of(built(architecture, {**levels, "residual": False, "attention": "off"}))
        assert abs(parameters_of(built(architecture, levels)) / without - 1) < 0.01, levels


def test_a_shortcut_adds_what_the_block_was_given_cropped_and_pooled() -> None:
    """Of a block that gives nothing only the shortcut is left."""
    [block] = [module for module in model3(SHAPE, 10, residual=True).modules() if isinstance(module, Residual)][1:]
    maps = torch.rand(2, 12, 14, 14)
    unpadded = Residual(nn.Conv2d(12, 12, 3), crop=1)
    for parameter in (*block.parameters(), *unpadded.parameters()):
        nn.init.zeros_(parameter)
    torch.testing.assert_close(block.eval()(maps), nn.functional.max_pool2d(maps, 2))
    torch.testing.assert_close(unpadded(maps), maps[:, :, 1:-1, 1:-1])
    with pytest.raises(ValueError, match="no shortcut leads around a block from 8 to 12 channels"):
        model_of([Conv(8), Conv(12, shortcut=True)], residual=True)


def test_attention_weighs_each_map_as_published() -> None:
    """Against the equations of the two papers, written out."""
    maps = torch.randn(3, 24, 5, 4)
    means = maps.mean((2, 3))
    se, eca = attend("se", 24), attend("eca", 24)
    w1, b1, w2, b2 = (value.detach() for value in se.parameters())
    weights = torch.sigmoid(torch.relu(means @ w1.T + b1) @ w2.T + b2)
    torch.testing.assert_close(se(maps), maps * weights[:, :, None, None])
    [kernel] = (value.detach().flatten() for value in eca.parameters())
    padded = nn.functional.pad(means, (1, 1))
    weights = torch.sigmoid(torch.stack([kernel[at] * padded[:, at : at + 24] for at in range(3)]).sum(0))
    torch.testing.assert_close(eca(maps), maps * weights[:, :, None, None])
    with pytest.raises(ValueError, match="off, se or eca, not 'cbam'"):
        model_of([Conv(8)], attention="cbam")


def model_of(blocks: list[Conv], *, residual: bool = False, attention: str = "off") -> nn.Module:
    return assemble(
        blocks,
        Classifier(),
        SHAPE,
        10,
        batch_norm=True,
        gap=True,
        dropout=0.0,
        residual=residual,
        attention=attention,
    )


@EVERY
def test_preset_has_the_published_parameters(architecture: Architecture) -> None:
    if architecture.published is None:
        pytest.skip("nothing was published")
    counted = parameters_of(built(architecture))
    assert counted == architecture.published.parameters


@EVERY
def test_other_image_shapes_and_class_counts(architecture: Architecture) -> None:
    network = architecture.build((3, 32, 40), 7)
    assert network(torch.rand(2, 3, 32, 40)).shape == (2, 7)


@EVERY
def test_images_too_small_are_refused(architecture: Architecture) -> None:
    with pytest.raises(ValueError, match="needs larger images than 6x6"):
        built(architecture, shape=(1, 6, 6))


def test_build_changes_only_what_it_is_told() -> None:
    network = model3(SHAPE, 10, batch_norm=False)
    kinds = {type(module) for module in network.modules()}
    assert nn.BatchNorm2d not in kinds
    assert nn.AdaptiveAvgPool2d in kinds


def test_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean model3"):
        find_architecture("modle3")


def dropped(maps: torch.Tensor, rate: float, generator: np.random.Generator) -> torch.Tensor:
    layer = activation(maps.shape[1], dropout=rate)
    layer.generator = generator
    result: torch.Tensor = layer(maps)
    return result


def maps_of_ones(rate: float, seed: int) -> torch.Tensor:
    return dropped(torch.ones(64, 16, 26, 27), rate, fast_generator(seed))


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    maps = maps_of_ones(0.1, seed=0)
    share = (maps == 0).double().mean().item()
    # 718,848 draws: the standard error of the share is 0.00035.
    assert abs(share - 0.1) < 0.0015
    assert abs(maps.double().mean().item() - 1) < 0.0015
    assert len(maps.unique()) == 2


def test_every_place_is_dropped_as_often_and_without_regard_to_its_neighbours_or_to_the_call_before() -> None:
    generator, maps = fast_generator(0), torch.ones(16, 8, 12, 12)
    hit = torch.stack([dropped(maps, 0.1, generator) == 0 for _ in range(400)]).double()
    count = hit.numel()
    assert abs(hit.mean().item() - 0.1) < 4 * (0.09 / count) ** 0.5
    for dimension in range(1, 5):
        others = [d for d in range(1, 5) if d != dimension]
        spread = hit.mean((0, *others)).std().item()
        assert spread < 2 * (0.09 / count * hit.shape[dimension]) ** 0.5
    for dimension in range(5):
        length = hit.shape[dimension] - 1
        both = (hit.narrow(dimension, 0, length) * hit.narrow(dimension, 1, length)).mean().item()
        assert abs(both - 0.01) < 5 * (0.01 / count) ** 0.5, dimension


def test_dropout_passes_the_gradient_where_it_passed_the_value() -> None:
    maps = torch.rand(4, 8, 6, 6).add_(1).requires_grad_()
    kept = dropped(maps, 0.3, fast_generator(0))
    kept.sum().backward()
    assert maps.grad is not None
    torch.testing.assert_close(maps.grad, (kept > 0) / 0.7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize(("channels", "size"), [(8, 28), (12, 7), (16, 12), (24, 3)])
def test_an_activation_is_torchs_batch_norm_relu_and_max_pool(
    channels: int, size: int, pool: int, dtype: torch.dtype
) -> None:
    """Outputs, gradients and running statistics, against torch in float64; bfloat16 has 8 bits, float32 has 24."""
    torch.manual_seed(0)
    maps = torch.randn(32, channels, size, size + 1).mul_(3).add_(20).to(dtype).requires_grad_()
    ours, exact = activation(channels, batch_norm=True, pool=pool), nn.BatchNorm2d(channels).double()
    assert ours.norm is not None
    with torch.no_grad():
        ours.norm.weight.copy_(torch.linspace(-0.5, 2, channels))
        ours.norm.bias.copy_(torch.linspace(-1, 1, channels))
    exact.load_state_dict(ours.norm.state_dict())
    exact_maps = maps.detach().double().requires_grad_()
    activated = ours(maps)
    gradient = torch.randn(activated.shape).to(dtype)
    results = [activated, *torch.autograd.grad(activated, (maps, ours.norm.weight, ours.norm.bias), gradient)]
    expected = nn.functional.max_pool2d(torch.relu(exact(exact_maps)), pool)
    exact_results = [
        expected,
        *torch.autograd.grad(expected, (exact_maps, exact.weight, exact.bias), gradient.double()),
    ]
    results += ours.norm.state_dict().values()
    exact_results += exact.state_dict().values()
    for mine, theirs in zip(results, exact_results, strict=True):
        precision = 2**-7 if mine.dtype == torch.bfloat16 else 2e-5
        scale = theirs.double().abs().max().item()
        torch.testing.assert_close(mine.double(), theirs.double(), rtol=0, atol=precision * scale)
    assert activated.dtype == dtype


@pytest.mark.parametrize("pool", [2, 3])
def test_of_equal_values_in_a_window_the_first_gets_the_gradient_as_in_torch(pool: int) -> None:
    torch.manual_seed(0)
    maps = torch.randint(0, 2, (16, 8, 11, 13)).float().requires_grad_()
    ours, theirs = activation(8, batch_norm=True, pool=pool), nn.BatchNorm2d(8)
    activated = ours(maps)
    expected = nn.functional.max_pool2d(torch.relu(theirs(maps)), pool)
    weights = torch.randn_like(activated)
    (gradient,) = torch.autograd.grad(activated, maps, weights)
    (expected_gradient,) = torch.autograd.grad(expected, maps, weights)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("gradients", [False, True])
def test_an_activation_in_evaluation_uses_the_running_statistics_and_drops_nothing(
    batch_norm: bool, pool: int, gradients: bool
) -> None:
    layer = activation(4, batch_norm=batch_norm, pool=pool, dropout=0.5)
    layer(torch.rand(8, 4, 6, 6))
    maps = torch.randn(2, 4, 6, 6)
    norm = layer.norm.eval() if layer.norm is not None else nn.Identity()
    expected = nn.functional.max_pool2d(torch.relu(norm(maps)), pool).detach()
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(layer.eval()(maps).detach(), expected)


def test_an_activation_drops_and_scales_what_is_left_of_batch_norm_relu_and_pool() -> None:
    torch.manual_seed(0)
    maps = torch.randn(64, 8, 28, 28).requires_grad_()
    for pool in (1, 2):
        plain = activation(8, batch_norm=True, pool=pool)
        dropping = activation(8, batch_norm=True, pool=pool, dropout=0.2)
        activated, kept = plain(maps), dropping(maps)
        stayed = kept > 0
        torch.testing.assert_close(kept[stayed], activated[stayed] / 0.8)
        active = int((activated > 0).sum())
        share = int(((activated > 0) & ~stayed).sum()) / active
        assert abs(share - 0.2) < 5 * (0.16 / active) ** 0.5
        weights = torch.randn_like(kept)
        (gradient,) = torch.autograd.grad(kept, maps, weights)
        (expected,) = torch.autograd.grad(plain(maps), maps, weights * stayed / 0.8)
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("pool", [1, 2])
def test_what_is_not_a_number_stays_so(pool: int, batch_norm: bool, dtype: torch.dtype) -> None:
    """A network that diverged has to show it."""
    maps = torch.full((4, 8, 6, 6), float("nan"), dtype=dtype)
    assert activation(8, batch_norm=batch_norm, pool=pool, dropout=0.1)(maps).isnan().any()


def test_dropout_follows_its_generator_alone() -> None:
    torch.manual_seed(1)
    first = maps_of_ones(0.1, seed=0)
    torch.manual_seed(2)
    assert torch.equal(first, maps_of_ones(0.1, seed=0))
    assert not torch.equal(first, maps_of_ones(0.1, seed=1))


def test_dropout_drops_the_same_elements_in_either_layout() -> None:
    maps = torch.ones(2, 3, 5, 7)
    results = [
        dropped(maps.contiguous(memory_format=layout), 0.1, fast_generator(0))
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    assert torch.equal(*results)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_dropout_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        activation(8, dropout=rate)


@pytest.mark.parametrize("pool", [0, 17])
def test_a_pool_out_of_range_is_refused(pool: int) -> None:
    with pytest.raises(ValueError, match="1 to 16 pixels"):
        activation(8, pool=pool)
