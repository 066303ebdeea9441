"""Training images distorted a batch at a time, with one draw per image; sampled bilinearly, filled with background."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.plan.augmentation import AUGMENTATIONS, Augmentation


def augment(images: Tensor, level: str, generator: torch.Generator) -> Tensor:
    """Float images (N, C, H, W) with background 0, each under a transform of its own; same shape.

    Every level but none takes the same draws from `generator`: under one seed, basic and advanced shift an image alike.
    """
    augmentation = AUGMENTATIONS[level]
    if augmentation == Augmentation():
        return images
    transforms = _transforms(images, augmentation, generator)
    return F.grid_sample(images, _grid(transforms, images), mode="bilinear", padding_mode="zeros", align_corners=False)


def _grid(transforms: Tensor, images: Tensor) -> Tensor:
    """(N, H, W, 2) input coordinates of the output's pixels: `F.affine_grid`, without its product of small matrices."""
    height, width = images.shape[2:]
    across = (torch.arange(width) * 2 + 1) / width - 1
    down = (torch.arange(height) * 2 + 1) / height - 1
    along_x, along_y, offset = transforms[..., None, None].unbind(2)
    return torch.addcmul(along_x * across + offset, along_y, down[:, None]).permute(0, 2, 3, 1)


def _transforms(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """(N, 2, 3) maps from output to input coordinates, both in [-1, 1] across the image."""
    count, _, height, width = images.shape
    turn, right, down, grow = torch.rand(4, count, generator=generator).mul_(2).sub_(1)
    angle = turn * math.radians(augmentation.rotation)
    zoom = 1 / (1 + grow * augmentation.scale)
    transforms = torch.empty(count, 2, 3)
    transforms[:, 0, 0] = angle.cos() * zoom
    transforms[:, 0, 1] = -angle.sin() * zoom * (height / width)
    transforms[:, 1, 0] = angle.sin() * zoom * (width / height)
    transforms[:, 1, 1] = angle.cos() * zoom
    transforms[:, 0, 2] = right * (augmentation.shift * 2 / width)
    transforms[:, 1, 2] = down * (augmentation.shift * 2 / height)
    return transforms
