"""model7: layers that a search chooses, said in a text. No search has chosen them yet.

Until one has, the layers are model4's without attention; see `architectures.layers` for how they are written. A 1x1
convolution takes the last maps to the classes; a convolution that batch norm follows has no bias.
"""

from torch import nn

from architectures.blocks import Shape, assemble
from architectures.layers import read_layers
from architectures.spec import Classifier

LAYERS = "10C3-10C3-MP2-14C3v-14C3vr-14C3vr-14C3vr"


def model7(
    shape: Shape,
    classes: int,
    *,
    layers: str = LAYERS,
    batch_norm: bool = True,
    gap: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Layers that a search chooses."""
    return assemble(
        read_layers(layers),
        Classifier(kernel=1),
        shape,
        classes,
        batch_norm=batch_norm,
        gap=gap,
        dropout=dropout,
        residual=True,
        bias=not batch_norm,
    )
