"""Every registered architecture, under every level that changes the network."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

import architectures
from architectures.blocks import assemble
from architectures.geometry import receptive_fields
from architectures.layers import Dropout, dropped_positions, fast_generator
from architectures.registry import ARCHITECTURES, UnknownArchitectureError
from architectures.spec import Architecture, Levels
from architectures.summary import summarise
from bench.plan.factors import FACTORS, Factor

SHAPE = (1, 28, 28)
SWITCHES = [factor for factor in FACTORS if factor.changes_network]
ALL_LEVELS = list(product(*(factor.levels for factor in SWITCHES)))
EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)


def with_levels(architecture: Architecture, values: tuple[object, ...]) -> Levels:
    changed = {factor.name: value for factor, value in zip(SWITCHES, values, strict=True)}
    return replace(architecture.preset, **changed)  # type: ignore[arg-type]


@EVERY
@pytest.mark.parametrize("values", ALL_LEVELS, ids=str)
def test_every_level_trains(architecture: Architecture, values: tuple[object, ...]) -> None:
    network = assemble(architecture, with_levels(architecture, values), SHAPE, classes=10)
    logits = network(torch.rand(4, *SHAPE))
    assert logits.shape == (4, 10)
    assert torch.isfinite(logits).all()
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@EVERY
@pytest.mark.parametrize("factor", SWITCHES, ids=lambda factor: factor.name)
def test_each_switch_changes_the_network(architecture: Architecture, factor: Factor) -> None:
    off = tuple(switch.off for switch in SWITCHES)
    on = tuple(switch.on if switch is factor else switch.off for switch in SWITCHES)
    without, with_it = (
        str(assemble(architecture, with_levels(architecture, values), SHAPE, classes=10)) for values in (off, on)
    )
    assert without != with_it


@EVERY
def test_preset_has_the_published_parameters(architecture: Architecture) -> None:
    if architecture.published is None:
        pytest.skip("nothing was published")
    counted = sum(p.numel() for p in architectures.build(architecture.name).parameters())
    assert counted == architecture.published.parameters


@EVERY
def test_other_image_shapes_and_class_counts(architecture: Architecture) -> None:
    network = assemble(architecture, architecture.preset, (3, 32, 40), classes=7)
    assert network(torch.rand(2, 3, 32, 40)).shape == (2, 7)


@EVERY
def test_images_too_small_are_refused(architecture: Architecture) -> None:
    with pytest.raises(ValueError, match="needs larger images than 6x6"):
        assemble(architecture, architecture.preset, (1, 6, 6), classes=10)


def test_build_changes_only_what_it_is_told() -> None:
    network = architectures.build("model3", batch_norm=False)
    kinds = {type(module) for module in network.modules()}
    assert nn.BatchNorm2d not in kinds
    assert nn.AdaptiveAvgPool2d in kinds


def test_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownArchitectureError, match="did you mean model3"):
        architectures.build("modle3")


@EVERY
def test_receptive_field_is_what_reaches_a_classifier_output(architecture: Architecture) -> None:
    """With averages for maxima and positive weights, every pixel of the field has a gradient and no other does."""
    size = 160
    levels = replace(architecture.preset, batch_norm=False, gap=False, dropout=0.0)
    network = assemble(architecture, levels, (1, size, size), classes=10)
    layers: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
            layers.append(module)
        elif isinstance(module, nn.MaxPool2d):
            layers.append(nn.AvgPool2d(module.kernel_size))
    image = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    maps = nn.Sequential(*layers).double()(image)
    middle = maps.shape[-1] // 2
    maps[0, 0, middle, middle].backward()
    assert image.grad is not None
    reached = (image.grad[0, 0] != 0).any(dim=0).sum().item()
    assert reached == dict(receptive_fields(architecture))["classifier"]


def test_summary_of_a_network_counted_by_hand() -> None:
    summary = summarise(ARCHITECTURES["model1"], ARCHITECTURES["model1"].preset, SHAPE, classes=10)
    layers = {layer.name: layer for layer in summary.layers}
    assert layers["block2.conv"].output == (8, 24, 24)
    assert layers["block2.conv"].parameters == 16 * 8 * 9 + 8
    assert layers["block2.conv"].macs == 24 * 24 * 8 * 16 * 9
    assert layers["linear"].macs == 90 * 10
    assert layers["linear"].receptive_field is None
    assert summary.parameters == sum(layer.parameters for layer in summary.layers) == 7_616
    assert summary.receptive_field == 34


def maps_of_ones(rate: float, seed: int) -> torch.Tensor:
    dropout = Dropout(rate)
    dropout.generator = fast_generator(seed)
    dropped: torch.Tensor = dropout(torch.ones(64, 16, 26, 27))
    return dropped


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    maps = maps_of_ones(0.1, seed=0)
    share = (maps == 0).double().mean().item()
    # 718,848 draws: the standard error of the share is 0.00035.
    assert abs(share - 0.1) < 0.0015
    assert abs(maps.double().mean().item() - 1) < 0.0015
    assert len(maps.unique()) == 2


def test_each_value_is_dropped_as_often_as_any_other_and_without_regard_to_its_neighbour() -> None:
    generator = fast_generator(0)
    draws = 40_000
    dropped = np.zeros((draws, 6), dtype=bool)
    for draw in dropped:
        draw[dropped_positions(generator, 0.3, 6)] = True
    error = (0.3 * 0.7 / draws) ** 0.5
    assert np.abs(dropped.mean(axis=0) - 0.3).max() < 5 * error
    both = (dropped[:, :-1] & dropped[:, 1:]).mean(axis=0)
    assert np.abs(both - 0.09).max() < 5 * (0.09 * 0.91 / draws) ** 0.5


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.999])
def test_positions_ascend_to_the_end(rate: float) -> None:
    positions = dropped_positions(fast_generator(0), rate, 100_000)
    assert (np.diff(positions) > 0).all()
    assert positions.min() >= 0
    assert positions.max() < 100_000
    assert abs(len(positions) / 100_000 - rate) < 5 * (rate * (1 - rate) / 100_000) ** 0.5


def test_dropout_follows_its_generator_alone() -> None:
    torch.manual_seed(1)
    first = maps_of_ones(0.1, seed=0)
    torch.manual_seed(2)
    assert torch.equal(first, maps_of_ones(0.1, seed=0))
    assert not torch.equal(first, maps_of_ones(0.1, seed=1))


def test_dropout_drops_the_same_elements_in_either_layout() -> None:
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        dropout = Dropout(0.1)
        dropout.generator = fast_generator(0)
        results.append(dropout(torch.ones(2, 3, 5, 7).contiguous(memory_format=layout)))
    assert torch.equal(*results)


def test_dropout_leaves_evaluation_alone() -> None:
    maps = torch.rand(2, 3, 5, 5)
    assert torch.equal(Dropout(0.5).eval()(maps), maps)


@pytest.mark.parametrize("rate", [-0.1, 0.0, 1.0, float("nan")])
def test_dropout_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Dropout(rate)
