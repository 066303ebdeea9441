"""Training images distorted a batch at a time, with one draw per image.

Published is little: that training images of model1 and model2 were distorted somehow (training accuracy stays below test
accuracy), and that model3 rotated them by up to 7 degrees either way, filling with 1 of 255. Chosen here:

- basic: a shift of up to 1.5 pixels either way along each axis, which brings the published pattern out;
- advanced: the published rotation together with that shift. So advanced contains basic, and their difference is rotation.

Both use bilinear sampling and fill with background (0 of 255).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Uniform ranges, each symmetric about nothing happening: degrees and pixels."""

    rotation: float = 0.0
    shift: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(),
    "basic": Augmentation(shift=1.5),
    "advanced": Augmentation(rotation=7.0, shift=1.5),
}


def augment(images: Tensor, level: str, generator: torch.Generator) -> Tensor:
    """Float images (N, C, H, W) with background 0, each under a transform of its own; same shape.

    A level of the factor draws the same numbers for the same generator as any other, but for none, which draws nothing.
    """
    augmentation = AUGMENTATIONS[level]
    if augmentation == AUGMENTATIONS["none"]:
        return images
    grid = F.affine_grid(_transforms(images, augmentation, generator), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _transforms(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """(N, 2, 3) maps from output to input coordinates, both in [-1, 1] across the image."""
    count, _, height, width = images.shape
    angle, right, down = torch.rand(3, count, generator=generator).mul_(2).sub_(1)
    angle = angle * math.radians(augmentation.rotation)
    transforms = torch.empty(count, 2, 3)
    transforms[:, 0, 0] = angle.cos()
    transforms[:, 0, 1] = -angle.sin() * (height / width)
    transforms[:, 1, 0] = angle.sin() * (width / height)
    transforms[:, 1, 1] = angle.cos()
    transforms[:, 0, 2] = right * (augmentation.shift * 2 / width)
    transforms[:, 1, 2] = down * (augmentation.shift * 2 / height)
    return transforms
