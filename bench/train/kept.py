"""What a phase of training leaves for the trials that start with it, or a teacher learned, and how they come by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Learned:
    """What was learned: a network's parameters and buffers by name, on the CPU, after so many updates in so many
    seconds."""

    weights: Mapping[str, Tensor]
    updates: int
    seconds: float


# What is kept under a key, or what the function learns, which is kept from then on.
Keep = Callable[[str, Callable[[], Learned]], Learned]


def kept_nowhere(_key: str, learn: Callable[[], Learned]) -> Learned:
    """Learns it anew each time."""
    return learn()
