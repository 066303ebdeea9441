"""The words an architecture is written in: layers as data, a preset, what was published. No torch here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Level = bool | int | float | str


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


class Levels(Mapping[str, Level]):
    """One level per factor, by the factor's name. Immutable and hashable; the order of the names doesn't count."""

    __slots__ = ("_hash", "_levels")

    def __init__(self, levels: Mapping[str, Level] | None = None, /, **named: Level) -> None:
        self._levels = {**(levels or {}), **named}
        self._hash = hash(frozenset(self._levels.items()))

    def __getitem__(self, name: str) -> Level:
        return self._levels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._levels)

    def __len__(self) -> int:
        return len(self._levels)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Levels) and self._levels == other._levels

    def __reduce__(self) -> tuple[type["Levels"], tuple[dict[str, Level]]]:
        # The hash of a text differs from process to process, so it doesn't travel.
        return Levels, (self._levels,)

    def __repr__(self) -> str:
        return f"Levels({', '.join(f'{name}={level!r}' for name, level in self._levels.items())})"


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
