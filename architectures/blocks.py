"""Turns an architecture and its levels into an `nn.Module`. What each switch does to the layers:

- A hidden block is convolution (with bias), batch norm, max pool, ReLU, dropout, in this order, each of the
  last four only where the architecture or the levels ask for it. The pool stands before the ReLU because the
  two commute exactly (ReLU is monotone) and the smaller map is cheaper.
- batch_norm on: a `BatchNorm2d` after every hidden convolution, none after the classifier.
- dropout p > 0: elementwise dropout with rate p at the end of every hidden block.
- gap on: the classifier's map is averaged to one value per class. gap off: it is flattened and a linear layer
  maps classes x height x width features to the classes.
- augmentation and scheduler don't change the network.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from architectures.spec import Architecture, Conv, Levels


def assemble(
    architecture: Architecture, levels: Levels, input_shape: tuple[int, int, int], classes: int
) -> nn.Sequential:
    """The network for images of `input_shape` (channels, height, width); maps (N, C, H, W) to (N, classes) logits.

    Weights are torch's default initialisation, drawn from the global generator.
    Raises ValueError when a map shrinks to nothing before the last layer.
    """
    channels, height, width = input_shape
    size = (height, width)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for number, conv in enumerate(architecture.blocks, start=1):
        stages[f"block{number}"] = _hidden_block(conv, channels, levels)
        channels = conv.channels
        size = _map_size(size, conv.kernel, conv.padding, conv.pool)
        _require_map(size, architecture, input_shape)
    head = architecture.classifier
    stages["classifier"] = nn.Conv2d(channels, classes, head.kernel, padding=head.padding)
    size = _map_size(size, head.kernel, head.padding, pool=1)
    _require_map(size, architecture, input_shape)
    if levels.gap:
        stages["gap"] = nn.AdaptiveAvgPool2d(1)
        stages["flatten"] = nn.Flatten()
    else:
        stages["flatten"] = nn.Flatten()
        stages["linear"] = nn.Linear(classes * size[0] * size[1], classes)
    return nn.Sequential(stages)


def _hidden_block(conv: Conv, in_channels: int, levels: Levels) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = nn.Conv2d(in_channels, conv.channels, conv.kernel, padding=conv.padding)
    if levels.batch_norm:
        parts["norm"] = nn.BatchNorm2d(conv.channels)
    if conv.pool > 1:
        parts["pool"] = nn.MaxPool2d(conv.pool)
    parts["relu"] = nn.ReLU(inplace=True)
    if levels.dropout:
        parts["dropout"] = Dropout(levels.dropout)
    return nn.Sequential(parts)


class Dropout(nn.Module):
    """Elementwise dropout of (N, C, H, W) maps that draws from `generator`, torch's global one when None.

    Inverted dropout as in Srivastava et al. 2014, section 10: kept values are scaled by 1 / (1 - rate). A mask bit
    takes 16 random bits, so the rate is met to within 2^-17; drawing them four to a 64-bit number is what makes this
    faster than `nn.Dropout` on a CPU.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0.0 < rate < 1.0:
            raise ValueError(f"a dropout rate lies between 0 and 1, not at {rate}")
        self.rate = rate
        self.generator: torch.Generator | None = None
        self._dropped = round(rate * 2**16)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; the identity in evaluation mode."""
        if not self.training:
            return maps
        count = maps.numel()
        words = torch.empty((count + 3) // 4, dtype=torch.int64, device=maps.device)
        words.random_(-(2**63), None, generator=self.generator)
        kept = words.view(torch.int16)[:count] >= self._dropped - 2**15
        scale = kept.to(maps.dtype).mul_(2**16 / (2**16 - self._dropped))
        batch, channels, height, width = maps.shape
        # The mask is laid out channels last, as the maps are in training: an elementwise product of one layout is
        # faster, and the same element is dropped whatever the layout of `maps`.
        return maps * scale.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """The rate, for `print(network)`."""
        return f"rate={self.rate}"


def _map_size(size: tuple[int, int], kernel: int, padding: int, pool: int) -> tuple[int, int]:
    height, width = ((side + 2 * padding - kernel + 1) // pool for side in size)
    return height, width


def _require_map(size: tuple[int, int], architecture: Architecture, input_shape: tuple[int, int, int]) -> None:
    if min(size) < 1:
        _, height, width = input_shape
        raise ValueError(f"{architecture.name} needs larger images than {height}x{width}")
