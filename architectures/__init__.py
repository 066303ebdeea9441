"""Small image classifiers: `build("model3", batch_norm=False)` gives the module."""

from dataclasses import replace
from typing import TYPE_CHECKING

from architectures.registry import ARCHITECTURES, UnknownArchitectureError, get

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

    architecture = get(name)
    preset = architecture.preset
    levels = replace(
        preset,
        batch_norm=preset.batch_norm if batch_norm is None else batch_norm,
        gap=preset.gap if gap is None else gap,
        dropout=preset.dropout if dropout is None else dropout,
    )
    return assemble(architecture, levels, input_shape, classes)
