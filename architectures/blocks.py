"""Turns layers as data into an `nn.Module`. What each switch does to the layers:

- A hidden block is convolution, batch norm, ReLU, max pool, dropout, attention, in this order, each but the first and
  the ReLU only where the block or the switches ask for it. A separable convolution (Howard et al., arXiv:1704.04861) is
  one a channel without bias, then one of 1x1.
- batch_norm: after every hidden convolution, none after the classifier.
- dropout p > 0: elementwise dropout with rate p at the end of every hidden block.
- attention se or eca: at the end of every hidden block (`architectures.attention`).
- residual: a shortcut around the blocks that say so (`architectures.residual`).
- gap: the classifier's map is averaged to one value per class. Without it the map is flattened and a linear layer
  takes classes x height x width features to the classes.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from architectures.attention import attend
from architectures.residual import Residual
from architectures.spec import Classifier, Conv

Shape = tuple[int, int, int]


def assemble(
    blocks: Sequence[Conv],
    classifier: Classifier,
    shape: Shape,
    classes: int,
    *,
    batch_norm: bool,
    gap: bool,
    dropout: float,
    residual: bool = False,
    attention: str = "off",
    bias: bool = True,
) -> nn.Sequential:
    """The network for images of `shape` (channels, height, width); maps (N, C, H, W) to (N, classes) logits.

    `bias` says whether hidden convolutions have one; the classifier always has. Weights are torch's default
    initialisation, drawn from the global generator.
    Raises ValueError when a map shrinks to nothing before the last layer, for a dropout rate outside [0, 1), for an
    attention that there isn't, and for a shortcut around a block that changes the number of channels.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"a dropout rate is at least 0 and below 1, not {dropout}")
    channels, height, width = shape
    size = (height, width)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for number, conv in enumerate(blocks, start=1):
        block = _hidden_block(conv, channels, batch_norm=batch_norm, dropout=dropout, attention=attention, bias=bias)
        stages[f"block{number}"] = _with_shortcut(block, conv, channels) if residual and conv.shortcut else block
        channels = conv.channels
        size = _map_size(size, conv.kernel, conv.padding, conv.pool)
        _require_map(size, shape)
    stages["classifier"] = nn.Conv2d(channels, classes, classifier.kernel, padding=classifier.padding)
    size = _map_size(size, classifier.kernel, classifier.padding, pool=1)
    _require_map(size, shape)
    if gap:
        stages["gap"] = nn.AdaptiveAvgPool2d(1)
        stages["flatten"] = nn.Flatten()
    else:
        stages["flatten"] = nn.Flatten()
        stages["linear"] = nn.Linear(classes * size[0] * size[1], classes)
    return nn.Sequential(stages)


def _hidden_block(
    conv: Conv, in_channels: int, *, batch_norm: bool, dropout: float, attention: str, bias: bool
) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    kernel, padding = conv.kernel, conv.padding
    if conv.separable:
        parts["depthwise"] = nn.Conv2d(
            in_channels, in_channels, kernel, padding=padding, groups=in_channels, bias=False
        )
        kernel, padding = 1, 0
    parts["conv"] = nn.Conv2d(in_channels, conv.channels, kernel, padding=padding, bias=bias)
    if batch_norm:
        parts["norm"] = nn.BatchNorm2d(conv.channels)
    parts["relu"] = nn.ReLU()
    if conv.pool > 1:
        parts["pool"] = nn.MaxPool2d(conv.pool)
    if dropout:
        parts["dropout"] = nn.Dropout(dropout)
    if (kind := conv.attention if attention == "off" else attention) != "off":
        parts["attention"] = attend(kind, conv.channels)
    return nn.Sequential(parts)


def _with_shortcut(block: nn.Sequential, conv: Conv, in_channels: int) -> Residual:
    if conv.channels != in_channels:
        raise ValueError(f"no shortcut leads around a block from {in_channels} to {conv.channels} channels")
    return Residual(block, crop=(conv.kernel - 1) // 2 - conv.padding, pool=conv.pool)


def _map_size(size: tuple[int, int], kernel: int, padding: int, pool: int) -> tuple[int, int]:
    height, width = ((side + 2 * padding - kernel + 1) // pool for side in size)
    return height, width


def _require_map(size: tuple[int, int], shape: Shape) -> None:
    if min(size) < 1:
        _, height, width = shape
        raise ValueError(f"it needs larger images than {height}x{width}")
