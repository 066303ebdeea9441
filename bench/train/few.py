"""Fewer training images: so many of each class, drawn by a trial's seed."""

from dataclasses import replace

import torch

from bench.errors import UsageError
from bench.plan.seeds import images_stream
from bench.train.data import Data


class FewError(UsageError):
    """There are not as many training images as a trial is to have."""


def few_of_each(data: Data, count: int | None, seed: int) -> Data:
    """The data with `count` training images of each class, in their order; all where it is None.

    What a seed draws depends on the data and the seed alone: every cell gets the same images, and of a smaller count
    some of those. Raises FewError where a class has fewer.
    """
    if count is None:
        return data
    _require(data, count)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(images_stream(seed)))
    labels = data.train.labels[order]
    drawn = torch.cat([order[labels == label][:count] for label in range(data.classes)])
    return replace(data, train=data.train.take(drawn.sort().values))


def _require(data: Data, count: int) -> None:
    counts = torch.bincount(data.train.labels, minlength=data.classes)
    fewest = int(counts.argmin())
    if counts[fewest] < count:
        name = data.class_names[fewest] if data.class_names else f"class {fewest}"
        raise FewError(f"{data.name} has {int(counts[fewest]):,} training images of {name}, not {count:,}")
