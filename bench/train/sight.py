"""What one position of a map sees of the image."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from torch import Tensor
from torch.autograd.graph import GradientEdge


@dataclass(frozen=True, slots=True)
class Span:
    """Along one side of the image: position i sees the `size` pixels from `start` + i x `jump` on."""

    start: int
    size: int
    jump: int

    def slid(self, kernel: int, stride: int, padding: int, dilation: int) -> "Span":
        """What a position sees of what a window on this one's grid sees."""
        wider = self.size + (kernel - 1) * dilation * self.jump
        return Span(self.start - padding * self.jump, wider, self.jump * stride)

    def joined(self, other: "Span") -> "Span":
        """What positions of both see, on one grid."""
        start = min(self.start, other.start)
        return Span(start, max(self.start + self.size, other.start + other.size) - start, self.jump)


@dataclass(frozen=True, slots=True)
class Window:
    """A closed form: the rows and the columns that a position sees."""

    rows: Span
    columns: Span


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """No closed form: a result of `shape`, made of what sees `parents`; its gradient says what it sees."""

    edge: GradientEdge
    shape: tuple[int, ...]
    parents: tuple["Sight", ...]


class Whole(Enum):
    """Every position sees the whole image."""

    IMAGE = "whole image"


Sight = Window | Measured | Whole


@dataclass(frozen=True, slots=True)
class Seen:
    """A tensor in the state that it was in when its sight was found. `mixed`: its features are those of several
    positions. `last_map`: of a tensor without positions, the sight of the map that it was made of."""

    tensor: Tensor
    version: int
    sight: Sight
    mixed: bool = False
    last_map: Sight | None = None


def side_of(sight: Sight | None, measure: Callable[[Measured], int | None] | None = None) -> int | None:
    """The larger side in pixels: 0 for what doesn't come from the image, None for the whole image or unmeasured."""
    if sight is None:
        return 0
    if isinstance(sight, Window):
        return max(sight.rows.size, sight.columns.size)
    return measure(sight) if isinstance(sight, Measured) and measure is not None else None


def tensors_in(value: object) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dictionaries, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def positions(tensor: Tensor) -> int:
    """How many positions a tensor has: those of a map (N, C, H, W), one for features (N, F)."""
    count = 1
    for size in tensor.shape[2:] if tensor.ndim == 4 else tensor.shape[1:] if tensor.ndim > 2 else ():
        count *= size
    return count
