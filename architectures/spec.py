"""Convolutional networks as data: hidden blocks and a classifier. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conv:
    """A hidden block: a square convolution, and what the levels put behind it.

    `pool` is the size and stride of a max pool inside the block; 1 means none. `shortcut` says whether residual
    connections, where they are on, go around the block: it gives as many channels as it takes. `separable` makes it a
    convolution of each channel by itself and then one of 1x1 over all of them. `attention` is the block's own, where
    the switch for all blocks is off.
    """

    channels: int
    padding: int = 0
    pool: int = 1
    kernel: int = 3
    shortcut: bool = False
    separable: bool = False
    attention: str = "off"


@dataclass(frozen=True, slots=True)
class Classifier:
    """The last convolution: one channel per class, never normalised, activated or dropped out."""

    padding: int = 0
    kernel: int = 3
