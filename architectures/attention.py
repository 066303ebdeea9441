"""Attention over channels: each map is multiplied by a number from 0 to 1 that depends on the means of all maps."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

# A squeeze has an eighth of the channels, rounded down, and at least one: the published sixteenth is none at these
# widths.
REDUCTION = 8


def attend(kind: str, channels: int) -> nn.Module:
    """The attention called se or eca. Raises ValueError for another."""
    if kind == "se":
        return SqueezeExcitation(channels)
    if kind == "eca":
        return EfficientChannelAttention()
    raise ValueError(f"attention is off, se or eca, not {kind!r}")


class ChannelAttention(nn.Module, ABC):
    """Scales each map by a number that is computed from the means of the image's maps."""

    @abstractmethod
    def gates(self, means: Tensor) -> Tensor:
        """From (N, C) means the (N, C, 1, 1) factors of the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W), as they were given."""
        return maps * self.gates(maps.mean((2, 3)))


class SqueezeExcitation(ChannelAttention):
    """Two linear layers from the maps' means to their weights (Hu et al., arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, 1)
        self.squeeze = nn.Linear(channels, hidden)
        self.relu = nn.ReLU()
        self.excite = nn.Linear(hidden, channels)
        self.sigmoid = nn.Sigmoid()

    def gates(self, means: Tensor) -> Tensor:
        """As in the paper."""
        weights: Tensor = self.sigmoid(self.excite(self.relu(self.squeeze(means))))
        return weights[:, :, None, None]


class EfficientChannelAttention(ChannelAttention):
    """A convolution over the means of neighbouring channels (Wang et al., arXiv:1910.03151): three weights, which is
    the size that the paper's rule gives up to 31 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.sigmoid = nn.Sigmoid()

    def gates(self, means: Tensor) -> Tensor:
        """As in the paper."""
        weights: Tensor = self.sigmoid(self.conv(means[:, None]))
        return weights[:, 0, :, None, None]
