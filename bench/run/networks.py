"""Which network a cell has today, and what is computed of it."""

from typing import TYPE_CHECKING

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell

if TYPE_CHECKING:
    from bench.train.summary import Summary

# torch takes seconds to import, and rows can be read meanwhile: it is imported where it is used.

_summaries: dict[tuple[object, ...], "Summary"] = {}
_sizes: dict[tuple[object, ...], tuple[int, int]] = {}


def network_today(cell: Cell, shape: str, classes: int) -> str | None:
    """The digest of the cell's network on images of a shape, as in 3x32x32; None where it can't be built on them."""
    from bench.train.network import NetworkError
    from bench.train.network_identity import network_part

    try:
        return network_part(cell, _sides(shape), classes)
    except NetworkError:
        return None


def layers_today(cell: Cell, shape: str, classes: int) -> list[tuple[str, int | None, int]] | None:
    """The layers of the cell's network on images of a shape, as in 3x32x32: the kind of each (Conv2d, ReLU, ...), its
    receptive field (None: the whole image) and its MACs. None where the network can't be built on them."""
    from bench.train.network import NetworkError

    try:
        summary = cell_summary(cell, _sides(shape), classes)
    except NetworkError:
        return None
    return [(row.kind, row.receptive_field, row.macs) for row in summary.layers]


def sizes_today(cell: Cell, shape: str, classes: int) -> tuple[int, int] | None:
    """Parameters and MACs of the cell's network on images of a shape, as in 3x32x32; None where it can't be built on
    them."""
    import torch

    from bench.train.network import NetworkError, plain_network
    from bench.train.summary import count_sizes

    sides = _sides(shape)
    kind = (catalogue(), cell.network, sides, classes)
    try:
        if kind not in _sizes:
            with torch.random.fork_rng(devices=[]):
                network = plain_network(cell, sides, classes)
            _sizes[kind] = count_sizes(network, sides)
        return _sizes[kind]
    except (NetworkError, ValueError):
        return None


def cell_summary(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> "Summary":
    """Parameters, MACs and receptive field of the cell's network, layer by layer. Leaves torch's global generator as
    it was. Raises NetworkError for a network that can't be built or run on such images."""
    kind = (catalogue(), cell.network, input_shape, classes)
    if kind not in _summaries:
        _summaries[kind] = _summary(cell, input_shape, classes)
    return _summaries[kind]


def _summary(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> "Summary":
    import torch

    from bench.train.network import NetworkError, plain_network
    from bench.train.summary import summarise

    with torch.random.fork_rng(devices=[]):
        network = plain_network(cell, input_shape, classes)
    try:
        return summarise(network, input_shape)
    except ValueError as error:
        raise NetworkError(f"{cell.label}: {error}") from error


def _sides(shape: str) -> tuple[int, int, int]:
    channels, height, width = map(int, shape.split("x"))
    return channels, height, width
