"""A layer that torch has, made fast for training small networks on a CPU: dropout."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function


class Dropout(nn.Module):
    """Elementwise dropout of (N, C, H, W) maps that draws from `generator`; by default one seeded from torch's.

    Inverted dropout as in Srivastava et al. 2014, section 10: kept values are scaled by 1 / (1 - rate). The numbers of
    values between two dropped ones are independent and geometric, so one number is drawn for each value that is dropped
    instead of one for each value: a third of the time at a rate of 0.1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0.0 < rate < 1.0:
            raise ValueError(f"a dropout rate lies between 0 and 1, not at {rate}")
        self.rate = rate
        self.generator: np.random.Generator | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; the identity in evaluation mode."""
        if not self.training:
            return maps
        if self.generator is None:
            self.generator = fast_generator(int(torch.randint(2**62, ())))
        dropped = torch.from_numpy(dropped_positions(self.generator, self.rate, maps.numel()))
        kept: Tensor = _Dropout.apply(maps, dropped.to(maps.device), 1 / (1 - self.rate))
        return kept

    def extra_repr(self) -> str:
        """The rate, for `print(network)`."""
        return f"rate={self.rate}"


def fast_generator(seed: int) -> np.random.Generator:
    """Chris Doty-Humphrey's SFC64, the fastest of numpy's generators."""
    return np.random.Generator(np.random.SFC64(seed))


def dropped_positions(generator: np.random.Generator, rate: float, count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The ascending positions, of 0 to count - 1, at which independent events of probability `rate` happen.

    An exponential number with mean -1 / log(1 - rate), rounded down, is geometric (Devroye 1986, section X.2).
    """
    parts = []
    start, mean = 0, -1 / math.log1p(-rate)
    while start < count:
        left = count - start
        draws = int(left * rate + 4 * math.sqrt(left * rate)) + 8  # nearly always enough at once
        gaps = (generator.standard_exponential(draws) * mean).astype(np.int64)
        positions = np.cumsum(gaps + 1) + (start - 1)
        parts.append(positions)
        start = int(positions[-1]) + 1
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole[: np.searchsorted(whole, count)]


class _Dropout(Function):
    """Positions count through the maps' memory as it is laid out channels last."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, dropped: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(dropped)
        ctx.scale = scale
        return _without(maps, dropped, scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (dropped,) = ctx.saved_tensors
        return _without(gradients[0], dropped, ctx.scale), None, None


def _without(maps: Tensor, dropped: Tensor, scale: float) -> Tensor:
    kept = maps.contiguous(memory_format=torch.channels_last) * scale
    kept.permute(0, 2, 3, 1).view(-1).index_fill_(0, dropped, 0.0)
    return kept
