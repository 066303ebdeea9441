"""Which network a cell has today."""

from bench.plan.cells import Cell


def network_today(cell: Cell, shape: str, classes: int) -> str | None:
    """The digest of the cell's network on images of a shape, as in 1x28x28; None where it can't be built on them."""
    from bench.train.identity import network_part  # torch takes seconds to import, and rows can be read meanwhile
    from bench.train.network import NetworkError

    channels, height, width = map(int, shape.split("x"))
    try:
        return network_part(cell, (channels, height, width), classes)
    except NetworkError:
        return None
