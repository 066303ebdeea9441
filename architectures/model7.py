"""model7: layers that a search chose on held-out training images of MNIST, said in a text.

Its rows are in results/mnist/selection.csv, where `design` is search-8000. See `architectures.layers` for how layers
are written. One pool, and then convolutions without padding down to maps of 6x6, which a 1x1 convolution takes to the
classes and their mean to logits; a convolution that batch norm follows has no bias.
"""

from torch import nn

from architectures.blocks import Shape, assemble
from architectures.layers import read_layers
from architectures.spec import Classifier

LAYERS = "8C3v-8C3v-MP2-21C3-21C3-15D3v-15D3v-15D3v"


def model7(
    shape: Shape,
    classes: int,
    *,
    layers: str = LAYERS,
    batch_norm: bool = True,
    gap: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Layers that a search chose, or others."""
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
