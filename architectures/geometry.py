"""What follows from a network's layers alone."""

from collections.abc import Iterator

from torch import nn


def receptive_fields(network: nn.Module) -> Iterator[tuple[str, int]]:
    """(layer name, receptive field side in input pixels) of every convolution and pool."""
    field, jump = 1, 1
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            field += (module.kernel_size[0] - 1) * jump
            yield name, field
        elif isinstance(module, nn.MaxPool2d):
            width = int(module.kernel_size)  # type: ignore[arg-type]
            field += (width - 1) * jump
            jump *= width
            yield name, field
