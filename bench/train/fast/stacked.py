"""Networks of the same shapes as one network: member k's channels stand beside member k+1's, in every layer."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.train.fast.activation import Activation

Layer = TypeVar("Layer", bound=nn.Module)


class StackedNetwork(nn.Module):
    """K networks, assembled alike but for their dropout rates, as one that starts from their weights.

    Convolutions are grouped, one group a member; batch norm works channel by channel, so on each member alone; each
    member's part computes what the member would. Raises ValueError for a layer that can't be stacked.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = len(networks)
        self.layers = _stacked(networks)

    def forward(self, images: Tensor) -> Tensor:
        """(N, K C, H, W), member by member, to (N, K, classes)."""
        logits: Tensor = self.layers(images)
        return logits.reshape(len(images), self.members, -1)

    @property
    def activations(self) -> "list[StackedActivation]":
        """The layers that drop values, in the order in which they compute."""
        return [module for module in self.modules() if isinstance(module, StackedActivation)]


class StackedActivation(nn.Module):
    """K members' `Activation`. Before a training step each member whose rate is not 0 needs its `keys`."""

    keys: Tensor

    def __init__(self, layers: Sequence[Activation]) -> None:
        super().__init__()
        self.pool = layers[0].pool
        self.norm = _stacked_norm([layer.norm for layer in layers if layer.norm is not None])
        self.rates = tuple(layer.rate for layer in layers)
        self.register_buffer("keys", torch.zeros(len(layers), 2, dtype=torch.int32))
        rates = torch.tensor(self.rates, dtype=torch.float64)
        self.register_buffer("_scale", (1 / (1 - rates)).float())
        self.register_buffer("_threshold", _as_int32((rates * 2**32).round().long() - 2**31))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, K C, H, W) to (N, K C, H // pool, W // pool)."""
        normalised = maps if self.norm is None else self.norm(maps)
        activated = F.relu(F.max_pool2d(normalised, self.pool) if self.pool > 1 else normalised)
        if not (self.training and any(self.rates)):
            return activated
        members = activated.unflatten(1, (len(self.rates), -1))
        drop = _fused_drop() if maps.is_cuda else _drop
        dropped = drop(members, self.keys, cast(Tensor, self._threshold), cast(Tensor, self._scale))
        return dropped.flatten(1, 2)


class StackedLinear(nn.Linear):
    """K members' linear layers, on what their maps hold."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        bias = layers[0].bias is not None
        super().__init__(layers[0].in_features, len(layers) * layers[0].out_features, bias=bias)
        self.members = len(layers)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, K C H W) to (N, K, out)."""
        values = maps.unflatten(1, (self.members, -1))
        products: Tensor = torch.einsum("nki,koi->nko", values, self.weight.unflatten(0, (self.members, -1)))
        if self.bias is None:
            return products
        summed: Tensor = products + self.bias.unflatten(0, (self.members, -1))
        return summed


def _stacked(layers: Sequence[nn.Module]) -> nn.Module:
    """Layers of one kind as one. Of a subclass nobody knows what else it does, so kinds are compared exactly."""
    first = layers[0]
    if len({_settings(layer) for layer in layers}) > 1:
        raise ValueError(f"the members' {type(first).__name__} layers differ in more than their weights")
    if type(first) is nn.Sequential:
        return nn.Sequential(*(_stacked(parts) for parts in zip(*cast(Sequence[nn.Sequential], layers), strict=True)))
    if type(first) is Activation:
        return StackedActivation(cast(Sequence[Activation], layers))
    if type(first) is nn.Conv2d:
        count = len(layers)
        grouped = nn.Conv2d(
            count * first.in_channels,
            count * first.out_channels,
            cast(tuple[int, int], first.kernel_size),
            stride=cast(tuple[int, int], first.stride),
            padding=cast(tuple[int, int], first.padding),
            dilation=cast(tuple[int, int], first.dilation),
            groups=count * first.groups,
            bias=first.bias is not None,
            padding_mode=first.padding_mode,
        )
        return _with_state(grouped, layers)
    if type(first) is nn.Linear:
        return _with_state(StackedLinear(cast(Sequence[nn.Linear], layers)), layers)
    if type(first) in {nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.Identity, nn.MaxPool2d}:
        return first
    if type(first) is nn.Flatten and (first.start_dim, first.end_dim) == (1, -1):
        return first
    raise ValueError(f"{type(first).__name__} can't be stacked: teach {__name__} how")


def _settings(layer: nn.Module) -> tuple[object, ...]:
    """What members must share: all that a layer says of itself but a dropout rate."""
    said = f"pool={layer.pool}" if isinstance(layer, Activation) else layer.extra_repr()
    return type(layer), said


def _stacked_norm(layers: Sequence[nn.BatchNorm2d]) -> nn.BatchNorm2d | None:
    if not layers:
        return None
    first = layers[0]
    return _with_state(nn.BatchNorm2d(len(layers) * first.num_features, eps=first.eps, momentum=first.momentum), layers)


def _with_state(stacked: Layer, layers: Sequence[nn.Module]) -> Layer:
    """With the parameters and running statistics of all members, one after the other."""
    states = [layer.state_dict() for layer in layers]
    stacked.load_state_dict(
        {
            name: torch.cat([state[name] for state in states]) if value.ndim else value
            for name, value in states[0].items()
        }
    )
    return stacked


def _drop(maps: Tensor, keys: Tensor, threshold: Tensor, scale: Tensor) -> Tensor:
    """Dropout of (N, K, C, H, W) maps. Which values stay is decided as `kernels` does for one member: from a hash of
    its two keys, the row (image and pixel row) and the column (pixel column and channel)."""
    count, _, channels, height, width = maps.shape
    rows = torch.arange(count * height, dtype=torch.int32, device=keys.device).view(count, 1, 1, height, 1)
    columns = torch.arange(width * channels, dtype=torch.int32, device=keys.device).view(width, channels).T
    row_key, column_key = (key.view(-1, 1, 1, 1) for key in keys.unbind(1))
    bits = _mix(_mix(rows ^ row_key) ^ _mix(columns[:, None] ^ column_key))
    kept = (bits ^ _LOWEST) >= threshold.view(-1, 1, 1, 1)
    # The scale of bfloat16 maps is no bfloat16 number: scaled in float32, rounded once.
    return (maps.float() * scale.view(-1, 1, 1, 1)).to(maps.dtype).where(kept, 0)


@cache
def _fused_drop() -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """`_drop` in one kernel, without the maps of random bits that it takes call by call."""
    return torch.compile(_drop)


_LOWEST = -(2**31)


def _mix(bits: Tensor) -> Tensor:
    """Christopher Wellons's lowbias32, as `kernels` has it, on int32: products wrap; shifts must not copy the sign."""
    bits = bits ^ (bits >> 16 & 0xFFFF)
    bits = bits * 0x7FEB352D
    bits = bits ^ (bits >> 15 & 0x1FFFF)
    bits = bits * (0x846CA68B - 2**32)
    return bits ^ (bits >> 16 & 0xFFFF)


def _as_int32(numbers: Tensor) -> Tensor:
    return numbers.to(torch.int32)
