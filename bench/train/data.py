"""A data set in memory: uint8 images, labels, and what follows from them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.plan.seeds import stream
from bench.train.kept import Keep, kept_nowhere


@dataclass(frozen=True)
class Split:
    """`images` is uint8 (N, C, H, W), `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Split":
        """The images at `indices`, in that order."""
        return Split(self.images.index_select(0, indices), self.labels.index_select(0, indices))


@dataclass(frozen=True)
class Data:
    """`train` is what networks learn from, `held_out` what they are measured on: the test set, or training images.
    `class_names`, where there are any, are what people call classes 0, 1, ...; they are no part of the digest, nor is
    what trainings on these data may start with: other data sets by name, and where what was learned on them is kept."""

    name: str
    train: Split
    held_out: Split
    classes: int
    class_names: tuple[str, ...] | None = None
    others: Mapping[str, "Data"] = field(default_factory=dict)
    keep: Keep = kept_nowhere

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of every image and label, in order, of their shapes and types, and of
        the number of classes."""
        digest = hashlib.sha256(f"{self.classes} classes".encode())
        for split in (self.train, self.held_out):
            for values in (split.images, split.labels):
                digest.update(f"{tuple(values.shape)} {values.dtype}".encode())
                digest.update(values.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    @cached_property
    def pixel_mean_std(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training images' pixels on a scale of 0 to 1, by channel: float32
        (C, 1, 1). The deviation of a channel whose pixels are all alike is given as 1, so that one may divide by it."""
        counts = np.zeros((self.input_shape[0], 256), dtype=np.int64)
        for chunk in self.train.images.split(4096):
            for channel, pixels in enumerate(chunk.unbind(1)):
                counts[channel] += np.bincount(pixels.numpy().ravel(), minlength=256)
        # First asked for while networks are measured, they would else be of no use to a gradient for ever.
        with torch.inference_mode(False):
            mean, std = (
                torch.tensor([_mean_std(row) for row in counts], dtype=torch.float32).T[:, :, None, None].unbind()
            )
        return mean, std

    @cached_property
    def measured_on_training(self) -> "Data":
        """The same data with its training images in the test set's place as well, as one data set for all who ask."""
        return replace(self, held_out=self.train)

    def hold_out(self, count: int) -> "Data":
        """The same data with `count` training images, drawn once and for all, in the test set's place.

        Raises UsageError when nothing would be left to train on.
        """
        if count >= len(self.train):
            raise UsageError(
                f"--val {count} leaves nothing to train on: {self.name} has {len(self.train)} training images"
            )
        generator = torch.Generator().manual_seed(stream("holdout", 0))
        order = torch.randperm(len(self.train), generator=generator)
        return replace(self, train=self.train.take(order[count:]), held_out=self.train.take(order[:count]))


def _mean_std(counts: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> tuple[float, float]:
    """Of pixels that have the values 0 to 255 so many times, as a share of 255."""
    shares = counts / counts.sum()
    values = np.arange(256) / 255
    mean = float((shares * values).sum())
    constant = np.count_nonzero(counts) == 1
    return mean, 1.0 if constant else float(np.sqrt((shares * (values - mean) ** 2).sum()))
