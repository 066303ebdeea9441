"""A data set in memory: uint8 images, labels, and what follows from them."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.errors import UsageError
from bench.plan.seeds import stream


@dataclass(frozen=True)
class Split:
    """`images` is uint8 (N, C, H, W), `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Split":
        """The images at `indices`, in that order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Data:
    """`train` is what networks learn from, `held_out` what they are measured on: the test set, or training images."""

    name: str
    train: Split
    held_out: Split
    classes: int

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
    def pixel_mean_std(self) -> tuple[float, float]:
        """Mean and standard deviation of the training images' pixels on a scale of 0 to 1."""
        counts = np.zeros(256, dtype=np.int64)
        for chunk in self.train.images.split(4096):
            counts += np.bincount(chunk.numpy().ravel(), minlength=256)
        shares = counts / counts.sum()
        values = np.arange(256) / 255
        mean = float((shares * values).sum())
        return mean, float(np.sqrt((shares * (values - mean) ** 2).sum()))

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
