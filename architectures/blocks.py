"""Turns an architecture and its levels into an `nn.Module`. What each switch does to the layers:

- A hidden block is convolution (with bias), batch norm, ReLU, max pool, dropout, in this order, each but the first and
  the ReLU only where the architecture or the levels ask for it. All but the convolution are one layer.
- batch_norm on: after every hidden convolution, none after the classifier.
- dropout p > 0: elementwise dropout with rate p at the end of every hidden block.
- gap on: the classifier's map is averaged to one value per class. gap off: it is flattened and a linear layer
  maps classes x height x width features to the classes.
- augmentation and scheduler don't change the network.
"""

from collections import OrderedDict

from torch import nn

from architectures.layers import Activation
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
    # Nobody else reads what a convolution wrote.
    parts["activation"] = Activation(
        conv.channels, batch_norm=levels.batch_norm, pool=conv.pool, dropout=levels.dropout, inplace=True
    )
    return nn.Sequential(parts)


def _map_size(size: tuple[int, int], kernel: int, padding: int, pool: int) -> tuple[int, int]:
    height, width = ((side + 2 * padding - kernel + 1) // pool for side in size)
    return height, width


def _require_map(size: tuple[int, int], architecture: Architecture, input_shape: tuple[int, int, int]) -> None:
    if min(size) < 1:
        _, height, width = input_shape
        raise ValueError(f"{architecture.name} needs larger images than {height}x{width}")
