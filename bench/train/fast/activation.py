"""What follows a convolution in a hidden block, as one layer that trains fast on a CPU."""

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from bench.train.fast import kernels
from bench.train.fast.kernels import Matrix

BITS = 2**32
WIDEST_POOL = 16


class Activation(nn.Module):
    """Batch norm, ReLU, max pool and dropout of (N, C, H, W) maps, in this order, each but ReLU only where asked for.

    With batch norm, on a CPU, they are one pass through memory for its statistics and one for the rest (`kernels.py`),
    and as many for the gradient. The figures are those of torch's layers. Batch norm's are as near to float64 as
    theirs; nearer for maps laid out channels last, and where a mean is far from 0. A not-a-number passes as in torch,
    except that a dropped place is always 0. `inplace`, as in `nn.ReLU`, allows the layer to write on its input where it
    has neither batch norm nor pool: for maps that nobody else reads, such as a convolution's.

    Dropout is inverted as in Srivastava et al. 2014, section 10: kept values are scaled by 1 / (1 - rate). `generator`,
    by default one seeded from torch's, is asked for two numbers a call; a hash of them and of a value's place says
    whether it is dropped. Raises ValueError for a rate or a pool out of range; a call in training does where batch norm
    has one value a channel, which has no variance.
    """

    def __init__(
        self, norm: nn.BatchNorm2d | None = None, *, pool: int = 1, dropout: float = 0.0, inplace: bool = False
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"a dropout rate is at least 0 and below 1, not {dropout}")
        if not 1 <= pool <= WIDEST_POOL:
            raise ValueError(f"a pool is 1 to {WIDEST_POOL} pixels wide, not {pool}")
        self.norm = norm
        self.pool = pool
        self.inplace = inplace
        # In a tuple a module isn't registered: it says how much is dropped, and when, and is no part of this one.
        self._dropout = (nn.Dropout(dropout),)
        self.generator: np.random.Generator | None = None

    @property
    def rate(self) -> float:
        """The share of values that is dropped in training."""
        return self._dropout[0].p

    def follow(self, dropout: nn.Dropout) -> None:
        """Drops what `dropout` would, which may change its rate."""
        self._dropout = (dropout,)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H // pool, W // pool)."""
        if not self._kernels_know(maps):
            return self._in_torch(maps)
        if maps.is_contiguous() and not maps.is_contiguous(memory_format=torch.channels_last):
            # Who reads maps channels first may say `view` of what comes out.
            return self._by_kernels(maps).contiguous()
        return self._by_kernels(maps)

    def _by_kernels(self, maps: Tensor) -> Tensor:
        if self.norm is not None:
            if self.training and maps.numel() == maps.shape[1]:
                raise ValueError(f"Expected more than 1 value per channel when training, got input size {maps.shape}")
            return cast(Tensor, _Activation.apply(maps, self.norm.weight, self.norm.bias, self, self.pool))
        # Without batch norm pool and ReLU commute exactly, and torch's are as fast.
        activated = F.relu_(F.max_pool2d(maps, self.pool)) if self.pool > 1 else F.relu(maps, inplace=self.inplace)
        if not (self.training and self.rate):
            return activated
        return cast(Tensor, _Activation.apply(activated, None, None, self, 1))

    def _kernels_know(self, maps: Tensor) -> bool:
        """Whether the kernels can compute this: they lack the gradient of evaluation, take a first image for granted,
        and know no network that trains without its batch norm."""
        usual = maps.ndim == 4 and maps.dtype in (torch.float32, torch.bfloat16) and maps.device.type == "cpu"
        together = (self.norm is None or self.norm.training == self.training) and self.rate < 1
        return usual and together and maps.numel() > 0 and (self.training or not torch.is_grad_enabled())

    def _in_torch(self, maps: Tensor) -> Tensor:
        normalised = maps if self.norm is None else self.norm(maps)
        pooled = F.max_pool2d(normalised, self.pool) if self.pool > 1 else normalised
        return F.dropout(F.relu(pooled), self.rate, self.training and self.rate > 0)

    def draw_keys(self) -> Matrix | None:
        """The two random numbers that decide what a call drops."""
        if not (self.training and self.rate):
            return None
        if self.generator is None:
            self.generator = fast_generator(int(torch.randint(2**62, ())))
        return self.generator.integers(BITS, size=2, dtype=np.uint32)

    def extra_repr(self) -> str:
        """Pool and rate, for `print(network)`."""
        return f"pool={self.pool}, dropout={self.rate}"


def fast_generator(seed: int) -> np.random.Generator:
    """Chris Doty-Humphrey's SFC64, the fastest of numpy's generators."""
    return np.random.Generator(np.random.SFC64(seed))


def has_hooks(layer: nn.Module) -> bool:
    """Whether somebody wants to see what the layer reads, gives, or is told in the backward pass."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


class _Activation(Function):
    """Batch norm's statistics and gradient as in Ioffe and Szegedy 2015, algorithm 1, gathered into factors of gradient
    and maps. What ReLU, pool and dropout let through is seen from what came out and from the windows' maxima."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, layer: Activation, pool: int
    ) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last)
        batch, channels, height, width = maps.shape
        pooled = (batch, channels, height // pool, width // pool)
        out = torch.empty(pooled, dtype=maps.dtype, memory_format=torch.channels_last)
        out_rows = _rows(out)
        keys = layer.draw_keys()
        scale = np.float32(1 / (1 - layer.rate) if keys is not None else 1)
        threshold = np.uint32(round(layer.rate * BITS))
        where = np.empty(out_rows.shape, np.uint8) if pool > 1 else None
        norm, moved = None, None
        if weight is not None and bias is not None:
            batch_norm = cast(nn.BatchNorm2d, layer.norm)
            running = (cast(Tensor, batch_norm.running_mean).numpy(), cast(Tensor, batch_norm.running_var).numpy())
            norm = (weight.detach().numpy(), bias.detach().numpy(), *running, batch_norm.eps)
            if layer.training:
                cast(Tensor, batch_norm.num_batches_tracked).add_(1)
                ctx.statistics = (np.empty(channels), np.empty(channels))
                moved = (batch_norm.momentum, *ctx.statistics)
        shape = (height, pool, channels)
        kernels.forward(_rows(maps), *shape, norm, moved, scale, threshold, keys, out_rows, where)
        ctx.save_for_backward(maps, out, weight)
        ctx.shape, ctx.scale, ctx.where = shape, scale, where
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, out, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        result = torch.empty_like(maps)
        norm, to_weight, to_bias = None, None, None
        if weight is not None:
            to_weight, to_bias = torch.empty_like(weight), torch.empty_like(weight)
            norm = (weight.detach().numpy(), *ctx.statistics, to_weight.numpy(), to_bias.numpy())
        rows = (_rows(gradient), _rows(maps))
        kernels.backward(*rows, *ctx.shape, norm, ctx.scale, _rows(out), ctx.where, _rows(result))
        return result, to_weight, to_bias, None, None


def _rows(maps: Tensor) -> Matrix:
    """(N, C, H, W) maps laid out channels last as a (N H, W C) array on the same memory; bfloat16 as its bits."""
    batch, channels, height, width = maps.shape
    rows = maps.detach().permute(0, 2, 3, 1).view(batch * height, width * channels)
    return rows.view(torch.uint16).numpy() if rows.dtype == torch.bfloat16 else rows.numpy()
