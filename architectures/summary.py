"""Layer by layer: output shape, receptive field, parameters and multiply-accumulates (MACs) of a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from architectures.geometry import receptive_fields


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer, for one image. `output` is its shape without the batch; `receptive_field` is a side in input
    pixels, None where a layer sees the whole map."""

    name: str
    kind: str
    output: tuple[int, ...]
    receptive_field: int | None
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The layers and their totals. `receptive_field` is that of the last convolution."""

    layers: tuple[LayerRow, ...]
    parameters: int
    macs: int
    receptive_field: int


def summarise(network: nn.Module, input_shape: tuple[int, int, int]) -> Summary:
    """Measures the network on one blank image of `input_shape` (channels, height, width).

    MACs are half of what torch's FLOP counter counts: convolutions and linear layers only.
    """
    network.eval()
    leaves = dict(_leaves(network))
    shapes: dict[str, tuple[int, ...]] = {}
    for name, leaf in leaves.items():
        leaf.register_forward_hook(_recorder(shapes, name))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_shape))
    flops = {path: sum(counts.values()) for path, counts in counter.get_flop_counts().items()}
    fields = dict(receptive_fields(network))

    rows = []
    field: int | None = 1
    for name, leaf in leaves.items():
        field = None if name in {"gap", "linear"} else fields.get(name, field)
        rows.append(
            LayerRow(
                name=name,
                kind=type(leaf).__name__,
                output=shapes[name],
                receptive_field=field,
                parameters=sum(parameter.numel() for parameter in leaf.parameters()),
                macs=flops.get(f"{type(network).__name__}.{name}", 0) // 2,
            )
        )
    return Summary(
        layers=tuple(rows),
        parameters=sum(row.parameters for row in rows),
        macs=sum(row.macs for row in rows),
        receptive_field=max(fields.values(), default=1),
    )


def _leaves(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers, by their path."""
    for name, part in module.named_children():
        if list(part.children()):
            yield from _leaves(part, f"{path}{name}.")
        else:
            yield path + name, part


def _recorder(shapes: dict[str, tuple[int, ...]], name: str) -> Any:
    def record(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes[name] = tuple(output.shape[1:])

    return record
