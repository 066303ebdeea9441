"""Small image classifiers: `build("model3", batch_norm=False)` gives the module."""

from dataclasses import replace
from typing import TYPE_CHECKING

from architectures.registry import ARCHITECTURES, UnknownArchitecture, get

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHITECTURES", "UnknownArchitecture", "build", "get"]


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
    Raises UnknownArchitecture for the name, ValueError for a dropout rate outside [0, 1) or images too small.
    """
    from architectures.blocks import assemble  # torch takes seconds to import and the plan doesn't need it

    architecture = get(name)
    given = {"batch_norm": batch_norm, "gap": gap, "dropout": dropout}
    levels = replace(
        architecture.preset, **{factor: level for factor, level in given.items() if level is not None}
    )
    return assemble(architecture, levels, input_shape, classes)
