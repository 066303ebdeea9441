"""The fused layer where it could differ from torch's: rounding, not-a-numbers, single values, its caller's maps."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conftest import activation

CHANNELS = 8
ROUNDING = 2**-24  # the share of a float32 that it may be off by


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 32])
@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 1), (20, 3), (1e3, 1), (1e3, 0.01), (3.7, 0)])
def test_a_layer_is_as_near_to_float64_as_torchs_layers(
    mean: float, deviation: float, count: int, pool: int, batch_norm: bool
) -> None:
    """Outputs, gradients of maps, weight and bias, and running statistics, on odd sizes. At most twice as far as torch
    in float32 plus four roundings, and never further than 1e-6: torch in float32 is, where a mean is far from 0."""
    torch.manual_seed(0)
    maps = torch.randn(count, CHANNELS, 13, 15).mul_(deviation).add_(mean)
    layer = activation(CHANNELS, batch_norm=batch_norm, pool=pool)
    norm, exact_norm = nn.BatchNorm2d(CHANNELS), nn.BatchNorm2d(CHANNELS).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-0.5, 2, CHANNELS))
        norm.bias.copy_(torch.linspace(-1, 1, CHANNELS))
    exact_norm.load_state_dict(norm.state_dict())
    if layer.norm is not None:
        layer.norm.load_state_dict(norm.state_dict())
    normalised = (exact_norm.train()(maps.double()) if batch_norm else maps.double()).detach()
    exact_norm.load_state_dict(norm.state_dict())
    gradient = torch.randn(F.max_pool2d(maps, pool).shape) * decided(normalised, pool)

    def in_torch(chosen: nn.BatchNorm2d, maps: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(chosen(maps) if batch_norm else maps), pool)

    def everything(output: Tensor, maps: Tensor, chosen: nn.BatchNorm2d | None) -> list[Tensor]:
        parameters = list(chosen.parameters()) if chosen is not None and batch_norm else []
        gradients = torch.autograd.grad(output, [maps, *parameters], gradient.to(output.dtype))
        state = list(chosen.state_dict().values())[2:4] if chosen is not None and batch_norm else []
        return [output.detach(), *gradients, *state]

    ours, plain, exact = maps.clone().requires_grad_(), maps.clone().requires_grad_(), maps.double().requires_grad_()
    results = everything(layer(ours), ours, layer.norm)
    plain_results = everything(in_torch(norm, plain), plain, norm)
    exact_results = everything(in_torch(exact_norm, exact), exact, exact_norm)
    # What a sum is rounded to goes by its terms: a constant channel's weight has a gradient of 0.
    terms = [0.0, 0.0, gradient.norm().item(), gradient.norm().item(), 0.0, 0.0]
    for mine, torchs, theirs, least in zip(results, plain_results, exact_results, terms, strict=False):
        scale = max(theirs.norm().item(), least)
        error, torchs_error = ((result.double() - theirs).norm().item() / scale for result in (mine, torchs))
        assert error <= min(2 * torchs_error + 4 * ROUNDING, 1e-6)


def decided(maps: Tensor, pool: int) -> Tensor:
    """1 where ReLU and pool decide alike however these float64 maps are rounded, else 0: a gradient jumps there."""
    windows = maps.unfold(2, pool, pool).unfold(3, pool, pool).flatten(4)
    if pool == 1:
        return (windows[..., 0].abs() > 1e-4).float()
    first, second = windows.topk(2).values.unbind(-1)
    return ((first.abs() > 1e-4) & ((first - second > 1e-4) | (first == second))).float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("pool", [1, 2, 3])
def test_a_not_a_number_goes_where_torchs_layers_send_it(
    pool: int, training: bool, batch_norm: bool, dtype: torch.dtype
) -> None:
    """Wherever in a window it is: before or behind the largest value, above or below it, in the first image or not."""
    layer = activation(4, batch_norm=batch_norm, pool=pool).train(training)
    norm = nn.BatchNorm2d(4).to(dtype).train(training) if batch_norm else nn.Identity()
    for image, row, column in product(range(2), range(pool + 1), range(pool + 1)):
        maps = torch.randn(2, 4, 3 * pool, 3 * pool + 1).add_(1).to(dtype)
        maps[image, 1, row, column] = float("nan")
        with torch.inference_mode():
            expected = F.max_pool2d(F.relu(norm(maps)), pool).isnan()
            assert expected.any()
            assert not expected.all()
            assert torch.equal(layer(maps).isnan(), expected)


def test_one_value_a_channel_is_refused_in_training_as_in_torch() -> None:
    layer, norm, maps = activation(4, batch_norm=True), nn.BatchNorm2d(4), torch.randn(1, 4, 1, 1)
    assert layer.norm is not None
    for module in (layer, norm):
        with pytest.raises(ValueError, match="more than 1 value per channel when training"):
            module(maps)
    assert layer.norm.running_var is not None
    assert layer.norm.running_var.isfinite().all()
    with torch.inference_mode():
        assert layer.eval()(maps).isfinite().all()


def test_no_images_come_out_as_none_and_move_no_statistics() -> None:
    layer = activation(4, batch_norm=True, pool=2)
    before = {name: value.clone() for name, value in layer.state_dict().items() if "running" in name}
    assert layer(torch.randn(0, 4, 6, 6)).shape == (0, 4, 3, 3)
    assert len(before) == 2
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_its_callers_maps_stay_what_they_are(training: bool, pool: int, batch_norm: bool, dropout: float) -> None:
    layer = activation(4, batch_norm=batch_norm, pool=pool, dropout=dropout).train(training)
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = torch.randn(8, 4, 6, 6).contiguous(memory_format=layout)
        before = maps.clone()
        with torch.set_grad_enabled(training):
            layer(maps)
        assert torch.equal(maps, before)


def test_a_layer_works_in_place_where_it_may() -> None:
    maps = torch.randn(8, 4, 6, 6)
    expected = maps.relu()
    assert activation(4, inplace=True)(maps).data_ptr() == maps.data_ptr()
    assert torch.equal(maps, expected)
