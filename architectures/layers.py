"""Layers that torch has, made fast for training small networks on a CPU: batch norm with ReLU, and dropout."""

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from architectures import kernels
from architectures.kernels import Matrix

_BITS = 2**32


class Dropout(nn.Module):
    """Elementwise dropout of (N, C, H, W) maps that draws from `generator`; by default one seeded from torch's.

    Inverted dropout as in Srivastava et al. 2014, section 10: kept values are scaled by 1 / (1 - rate). On a CPU the
    generator is asked for two numbers a call; a hash of them and of a value's place says whether it is dropped.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = checked_rate(rate)
        self.generator: np.random.Generator | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; the identity in evaluation mode."""
        if not self.training:
            return maps
        if maps.device.type != "cpu":
            return F.dropout(maps, self.rate)
        self.generator = self.generator or default_generator()
        kept: Tensor = _Dropout.apply(maps, self.rate, draw_keys(self.generator))
        return kept

    def extra_repr(self) -> str:
        """The rate, for `print(network)`."""
        return f"rate={self.rate}"


class NormReLU(nn.BatchNorm2d):
    """Batch norm, ReLU and, where `dropout` is above 0, dropout of (N, C, H, W) maps.

    In training on a CPU they are one pass through memory for the statistics and one for the rest (`kernels.py`), and as
    many for the gradient; the figures are those of torch's layers, and nearer to float64 than theirs for maps laid out
    channels last. `generator` as in Dropout.
    """

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__(channels)
        self.rate = checked_rate(dropout) if dropout else 0.0
        self.generator: np.random.Generator | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if not self.training or maps.device.type != "cpu":
            activated = F.relu(super().forward(maps))
            return F.dropout(activated, self.rate, self.training and self.rate > 0)
        cast(Tensor, self.num_batches_tracked).add_(1)
        keys = None
        if self.rate:
            self.generator = self.generator or default_generator()
            keys = draw_keys(self.generator)
        parameters = (self.weight, self.bias, self.running_mean, self.eps)
        activated, mean, var = _NormReLU.apply(maps, *parameters, self.rate, keys)
        count = maps.numel() // maps.shape[1]
        with torch.no_grad():
            cast(Tensor, self.running_mean).lerp_(mean, cast(float, self.momentum))
            cast(Tensor, self.running_var).lerp_(var * (count / (count - 1)), cast(float, self.momentum))
        return cast(Tensor, activated)

    def extra_repr(self) -> str:
        """Channels and rate, for `print(network)`."""
        return f"{self.num_features}, dropout={self.rate}"


def checked_rate(rate: float) -> float:
    """A rate of dropout. Raises ValueError."""
    if not 0.0 < rate < 1.0:
        raise ValueError(f"a dropout rate lies between 0 and 1, not at {rate}")
    return rate


def fast_generator(seed: int) -> np.random.Generator:
    """Chris Doty-Humphrey's SFC64, the fastest of numpy's generators."""
    return np.random.Generator(np.random.SFC64(seed))


def default_generator() -> np.random.Generator:
    """A generator seeded from torch's global one."""
    return fast_generator(int(torch.randint(2**62, ())))


def draw_keys(generator: np.random.Generator) -> Matrix:
    """The two random numbers that decide what one call drops."""
    return generator.integers(_BITS, size=2, dtype=np.uint32)


class _Dropout(Function):
    """The gradient is dropped as the values were: the same keys give the same places."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, rate: float, keys: Matrix) -> Tensor:
        ctx.rate, ctx.keys = rate, keys
        return _without_dropped(maps, rate, keys)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _without_dropped(gradients[0], ctx.rate, ctx.keys), None, None


def _without_dropped(maps: Tensor, rate: float, keys: Matrix) -> Tensor:
    maps = maps.contiguous(memory_format=torch.channels_last)
    kept = torch.empty_like(maps)
    kernels.dropout(_rows(maps), np.float32(1 / (1 - rate)), np.uint32(round(rate * _BITS)), keys, _rows(kept))
    return kept


class _NormReLU(Function):
    """Returns the activated maps, and mean and variance of the batch, which carry no gradient.

    Statistics as in Ioffe and Szegedy 2015, algorithm 1; the variance is that of values minus the running mean, so that
    a mean far from 0 costs no digits. The gradient is theirs too, gathered into factors of gradient and maps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        eps: float,
        rate: float,
        keys: Matrix | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        maps = maps.contiguous(memory_format=torch.channels_last)
        width, count = maps.shape[3], maps.numel() // maps.shape[1]
        rows, shift = _rows(maps), running_mean.numpy()
        sums, squares = np.empty((2, rows.shape[1]))
        kernels.moments(rows, np.tile(shift, width), sums, squares)
        shifted_mean, shifted_square = _per_channel(sums, width) / count, _per_channel(squares, width) / count
        mean, var = shifted_mean + shift, np.maximum(shifted_square - shifted_mean**2, 0)
        inverse_std = 1 / np.sqrt(var + eps)

        scale = 1 / (1 - rate)
        factor = weight.detach().numpy() * inverse_std
        wide_factor = _wide(factor * scale, width)
        wide_offset = _wide((bias.detach().numpy() - mean * factor) * scale, width)
        activated = torch.empty_like(maps)
        if keys is None:
            kernels.norm_relu(rows, wide_factor, wide_offset, _rows(activated))
        else:
            threshold = np.uint32(round(rate * _BITS))
            kernels.norm_relu_dropout(rows, wide_factor, wide_offset, threshold, keys, _rows(activated))

        ctx.save_for_backward(maps, activated, weight)
        ctx.mean, ctx.inverse_std, ctx.scale = mean, inverse_std, scale
        batch_mean, batch_var = torch.from_numpy(mean).float(), torch.from_numpy(var).float()
        ctx.mark_non_differentiable(batch_mean, batch_var)
        return activated, batch_mean, batch_var

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, activated, weight = ctx.saved_tensors
        mean, inverse_std = ctx.mean, ctx.inverse_std
        width, count = maps.shape[3], maps.numel() // maps.shape[1]
        gradient = _rows(gradients[0].contiguous(memory_format=torch.channels_last))
        rows, out = _rows(maps), _rows(activated)
        sums, products = np.empty((2, rows.shape[1]))
        kernels.gradient_moments(gradient, rows, out, _wide(mean, width), sums, products)
        to_bias = _per_channel(sums, width) * ctx.scale
        to_weight = _per_channel(products, width) * ctx.scale * inverse_std

        factor = weight.detach().numpy() * inverse_std
        on_maps = -factor * inverse_std * to_weight / count
        offset = -factor * to_bias / count - on_maps * mean
        result = torch.empty_like(maps)
        wide_factor, wide_on_maps = _wide(factor * ctx.scale, width), _wide(on_maps, width)
        kernels.input_gradient(gradient, rows, out, wide_factor, wide_on_maps, _wide(offset, width), _rows(result))
        return result, torch.from_numpy(to_weight).float(), torch.from_numpy(to_bias).float(), None, None, None, None


def _rows(maps: Tensor) -> Matrix:
    """(N, C, H, W) maps laid out channels last as a (N H, W C) array on the same memory; bfloat16 as its bits."""
    batch, channels, height, width = maps.shape
    rows = maps.detach().permute(0, 2, 3, 1).view(batch * height, width * channels)
    return rows.view(torch.uint16).numpy() if rows.dtype == torch.bfloat16 else rows.numpy()


def _wide(values: Matrix, width: int) -> Matrix:
    return np.tile(values.astype(np.float32), width)


def _per_channel(sums: Matrix, width: int) -> Matrix:
    return cast(Matrix, sums.reshape(width, -1).sum(axis=0))
