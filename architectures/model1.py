"""model1: plain convolutions, no technique but light augmentation. Published: 7,616 parameters, 98.89 %.

Map sizes on 28x28 images: 28-26-24-22, pool, 11-9-7, pool, 3-3-3.
"""

from torch import nn

from architectures.blocks import Shape, assemble
from architectures.spec import Classifier, Conv

BLOCKS = (
    Conv(16),
    Conv(8),
    Conv(16, pool=2),
    Conv(8),
    Conv(16, pool=2),
    Conv(8, padding=1),
)


def model1(
    shape: Shape, classes: int, *, batch_norm: bool = False, gap: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Plain convolutions."""
    return assemble(BLOCKS, Classifier(padding=1), shape, classes, batch_norm=batch_norm, gap=gap, dropout=dropout)
