"""Training images distorted a batch at a time, with one draw per image; sampled bilinearly, filled with background."""

import math

import numpy as np
import torch
from torch import Tensor

from bench.plan.augmentation import AT_LEVEL, Augmentation
from bench.train.fast.kernels import Matrix, compiled


def augment(images: Tensor, level: str, generator: torch.Generator) -> Tensor:
    """uint8 images (N, C, H, W) with background 0 as float32 in [0, 1], each under a transform of its own; same shape.

    Every level but none takes the same draws from `generator`: under one seed, basic and advanced shift an image alike.
    """
    augmentation = AT_LEVEL[level]
    if augmentation == Augmentation():
        return undistorted(images)
    return distorted(images, augmentation, generator)


def undistorted(images: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1]."""
    return images.float().div_(255)


def distorted(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """As `augment` does at a level that distorts."""
    result = torch.empty(images.shape)
    turn, shift, scale = math.radians(augmentation.rotation), augmentation.shift, augmentation.scale
    _distort(images.numpy(), draw(len(images), generator).numpy(), turn, shift, scale, result.numpy())
    return result


def draw(count: int, generator: torch.Generator) -> Tensor:
    """(4, count) numbers in [0, 1), a column an image: how far along each range it is turned, moved to the right and
    down, and enlarged."""
    return torch.rand(4, count, generator=generator)


@compiled
def _distort(images: Matrix, draws: Matrix, turn: float, shift: float, scale: float, out: Matrix) -> None:
    """Turns by up to `turn` radians, moves by up to `shift` pixels along either axis, enlarges by up to `scale`."""
    count, channels, height, width = images.shape
    # Room around the image for what is sampled outside it.
    padded = np.zeros((height + 3, width + 3), np.float32)
    one = np.uint32(1)
    middle_x, middle_y = np.float32((width - 1) / 2), np.float32((height - 1) / 2)
    for image in range(count):
        angle = (2 * draws[0, image] - 1) * turn
        zoom = 1 / (1 + (2 * draws[3, image] - 1) * scale)
        cosine, sine = np.float32(math.cos(angle) * zoom), np.float32(math.sin(angle) * zoom)
        right = np.float32((2 * draws[1, image] - 1) * shift) + middle_x
        down = np.float32((2 * draws[2, image] - 1) * shift) + middle_y
        for channel in range(channels):
            for row in range(height):
                for column in range(width):
                    padded[row + 1, column + 1] = np.float32(images[image, channel, row, column]) / np.float32(255)
            for row in range(height):
                y = np.float32(row) - middle_y
                for column in range(width):
                    x = np.float32(column) - middle_x
                    from_x = min(max(cosine * x - sine * y + right, np.float32(-1)), np.float32(width))
                    from_y = min(max(sine * x + cosine * y + down, np.float32(-1)), np.float32(height))
                    left, top = np.floor(from_x), np.floor(from_y)
                    along, below = from_x - left, from_y - top
                    at, under = np.uint32(np.int32(left) + 1), np.uint32(np.int32(top) + 1)
                    left_top, right_top = padded[under, at], padded[under, at + one]
                    left_bottom, right_bottom = padded[under + one, at], padded[under + one, at + one]
                    upper = left_top + (right_top - left_top) * along
                    lower = left_bottom + (right_bottom - left_bottom) * along
                    out[image, channel, row, column] = upper + (lower - upper) * below
