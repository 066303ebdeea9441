"""Small image classifiers: `build("model3", batch_norm=False)` gives the module."""

from typing import TYPE_CHECKING

from architectures.registry import ARCHITECTURES, UnknownArchitectureError, get
from architectures.spec import Levels

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHITECTURES", "UnknownArchitectureError", "build", "get"]


def build(
    name: str,
    *,
    batch_norm: bool | None = None,
    gap: bool | None = None,
    dropout: float | None = None,
    input_shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
) -> "nn.Sequential":
    """The network called `name`, as its preset says but for the levels given here.

    Maps images (N, *input_shape) to logits (N, classes). Weights come from torch's global generator.
    Raises UnknownArchitectureError for the name, ValueError for a dropout rate outside [0, 1) or images too small.
    """
    from architectures.blocks import assemble  # torch takes seconds to import and the plan doesn't need it

    given = {"batch_norm": batch_norm, "gap": gap, "dropout": dropout}
    if dropout is not None and not 0 <= dropout < 1:
        raise ValueError(f"a dropout rate is at least 0 and below 1, not {dropout}")
    architecture = get(name)
    changed = {factor: level for factor, level in given.items() if level is not None}
    return assemble(architecture, Levels({**architecture.preset, **changed}), input_shape, classes)
