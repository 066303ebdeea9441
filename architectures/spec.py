"""The words an architecture is written in: layers as data, a preset, what was published. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conv:
    """A hidden block: a square convolution with bias, and what the levels put behind it.

    `pool` is the size and stride of a max pool inside the block; 1 means none.
    """

    channels: int
    padding: int = 0
    pool: int = 1
    kernel: int = 3


@dataclass(frozen=True, slots=True)
class Classifier:
    """The last convolution: one channel per class, never normalised, activated or dropped out."""

    padding: int = 0
    kernel: int = 3


@dataclass(frozen=True, slots=True)
class Levels:
    """One level per factor. `bench.plan.factors` lists the levels that each field may take."""

    batch_norm: bool
    gap: bool
    dropout: float
    augmentation: str
    scheduler: str


@dataclass(frozen=True, slots=True)
class Published:
    """The figures that an architecture was published with, from a single run on `dataset`.

    `curve` maps an epoch to (training accuracy, test accuracy), fractions in [0, 1].
    """

    parameters: int
    epochs: int
    test_accuracy: float
    curve: Mapping[int, tuple[float, float]]
    dataset: str = "mnist"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A named member of the family: hidden blocks and a classifier, its preset and its origin.

    `source` says where the layers and figures come from.
    """

    name: str
    title: str
    blocks: tuple[Conv, ...]
    classifier: Classifier
    preset: Levels
    published: Published | None
    source: str

    def published_on(self, dataset: str) -> Published | None:
        """The published figures if they are about this data set."""
        return self.published if self.published is not None and self.published.dataset == dataset else None
