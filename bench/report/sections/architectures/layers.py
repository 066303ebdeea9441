"""What the networks of the presets are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.plan.cells import Cell
from bench.report.report import Report, once


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a network. `kind` is its class; a receptive field that is the whole image is None."""

    kind: str
    receptive_field: int | None
    macs: int

    @property
    def is_pool(self) -> bool:
        """Whether it pools windows of a map."""
        return self.kind in {"MaxPool2d", "AvgPool2d"}

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution of maps."""
        return self.kind in {"Conv2d", "ConvTranspose2d"}


@once
def layers(report: Report) -> Mapping[Cell, tuple[Layer, ...]]:
    """Those of the presets whose network is known."""
    found = {}
    for cell in report.evidence.cells:
        if cell.is_preset and report.layers_of is not None:
            last = report.evidence.rows(cell).iloc[-1]
            known = report.layers_of(cell, str(last["input"]), int(last["classes"]))
            if known is not None:
                found[cell] = tuple(Layer(*layer) for layer in known)
    return found
