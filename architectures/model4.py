"""model4: one pool, unpadded convolutions to a 6x6 map, residual connections and attention. 7,870 parameters.

Map sizes on 28x28 images: 28-28, pool, 14-12-10-8-6. Nobody published it. Its shape is that of the two best single runs
known below 8,000 parameters, which pool once and average a 6x6 map; a convolution that batch norm follows has no bias.
With a linear layer on the 6x6 maps in place of global average pooling it has 3,610 parameters more.
"""

from dataclasses import replace

from torch import nn

from architectures.blocks import Shape, assemble
from architectures.spec import Classifier, Conv

BLOCKS = (
    Conv(10, padding=1),
    Conv(10, padding=1, pool=2),
    Conv(14),
    Conv(14, shortcut=True),
    Conv(14, shortcut=True),
    Conv(14, shortcut=True),
)

# With squeeze-and-excitation the first block is narrower by as many parameters as that has, to within 1 %.
BLOCKS_WITH_SE = (replace(BLOCKS[0], channels=8), *BLOCKS[1:])


def model4(
    shape: Shape,
    classes: int,
    *,
    batch_norm: bool = True,
    gap: bool = True,
    dropout: float = 0.0,
    residual: bool = True,
    attention: str = "se",
) -> nn.Sequential:
    """Residual connections and attention."""
    return assemble(
        BLOCKS_WITH_SE if attention == "se" else BLOCKS,
        Classifier(kernel=1),
        shape,
        classes,
        batch_norm=batch_norm,
        gap=gap,
        dropout=dropout,
        residual=residual,
        attention=attention,
        bias=not batch_norm,
    )
