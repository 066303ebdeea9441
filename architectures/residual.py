"""A shortcut around a block (He et al., arXiv:1512.03385), without parameters of its own."""

import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """The sum of a block's output and its input, which is cropped by `crop` pixels at each border, as an unpadded
    convolution crops, and max pooled by `pool`, as the block pools."""

    def __init__(self, block: nn.Module, *, crop: int = 0, pool: int = 1) -> None:
        super().__init__()
        self.block = block
        self.crop = crop
        self.pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to what the block makes of it."""
        _, _, height, width = maps.shape
        kept = maps[:, :, self.crop : height - self.crop, self.crop : width - self.crop] if self.crop else maps
        summed: Tensor = self.block(maps) + (F.max_pool2d(kept, self.pool) if self.pool > 1 else kept)
        return summed

    def extra_repr(self) -> str:
        """What is no module."""
        return f"crop={self.crop}, pool={self.pool}"
