"""A convolution of each channel by itself, forward and for both gradients, on maps as `direct` has them.

Its weight is (C, 1, k, k). A value takes so few products that loops over rows are quick enough.
"""

import numpy as np

from bench.train.fast.kernels import Matrix, within
from bench.train.fast.tiles import LANES
from bench.train.fast.words import channels_apiece, to_float


@within()
def correlate_apart(src: Matrix, block: int, weight: Matrix, turned: bool, bias: Matrix, out: Matrix, at: int) -> None:
    """As `convolve.correlate`; `turned` turns the kernel by 180 degrees."""
    channels, _, size, _ = weight.shape
    apiece, height, width = channels_apiece(src), src.shape[2] - size + 1, src.shape[3] - (size - 1) * LANES
    for channel in range(channels):
        word, half = channel // apiece, channel % apiece
        start = bias[channel] if len(bias) else np.float32(0)
        for y in range(height):
            sums = out[at, channel, y]
            for i in range(width):
                sums[i] = start
            for down in range(size):
                line = src[block, word, y + down]
                for along in range(size):
                    if turned:
                        factor = weight[channel, 0, size - 1 - down, size - 1 - along]
                    else:
                        factor = weight[channel, 0, down, along]
                    for i in range(width):
                        sums[i] += factor * to_float(line[along * LANES + i], half)


@within()
def moments_apart(src: Matrix, first: int, on_maps: Matrix, around: int, to_weight: Matrix) -> None:
    """Adds to `to_weight` the products of the blocks in `on_maps` and the pixels that each tap has read of those in
    `src` from `first` on."""
    channels, _, size, _ = to_weight.shape
    apiece, height, width = channels_apiece(src), src.shape[2] - size + 1, src.shape[3] - (size - 1) * LANES
    for channel in range(channels):
        word, half = channel // apiece, channel % apiece
        for down in range(size):
            for along in range(size):
                total = np.float64(0)
                for at in range(on_maps.shape[0]):
                    for y in range(height):
                        gradient = on_maps[at, word, y + around, around * LANES :]
                        line = src[first + at, word, y + down, along * LANES :]
                        products = np.float32(0)
                        for i in range(width):
                            products += to_float(gradient[i], half) * to_float(line[i], half)
                        total += np.float64(products)
                to_weight[channel, 0, down, along] += total
