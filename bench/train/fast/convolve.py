"""The loops of a convolution around its tiles, forward and for both gradients, on maps as `direct` has them."""

import numpy as np

from bench.train.fast.kernels import Matrix, within
from bench.train.fast.rows import numbers
from bench.train.fast.tiles import LANES, OUTPUTS, VECTOR, WIDE, WORD, correlate_tile, moments_tile
from bench.train.fast.words import channels_apiece, pair_images, to_word


@within()
def pack(weight: Matrix, turned: bool, packed: Matrix) -> None:
    """Weights as tiles read them; `turned` swaps inputs and outputs and turns the kernel by 180 degrees, which leads
    from the gradient of the output to that of the input."""
    outputs, inputs, size, _ = weight.shape
    if turned:
        outputs, inputs = inputs, outputs
    apiece = channels_apiece(packed)
    for output in range(packed.shape[0] * OUTPUTS):
        tap = 0
        for first in range(0, inputs, apiece):
            for down in range(size):
                for along in range(size):
                    low, high = np.float32(0), np.float32(0)
                    if output < outputs:
                        if turned:
                            low = weight[first, output, size - 1 - down, size - 1 - along]
                            if first + 1 < inputs:
                                high = weight[first + 1, output, size - 1 - down, size - 1 - along]
                        else:
                            low = weight[output, first, down, along]
                            if first + 1 < inputs:
                                high = weight[output, first + 1, down, along]
                    packed[output // OUTPUTS, tap, output % OUTPUTS] = to_word(low, high, packed[0, 0, 0])
                    tap += 1


@within()
def _offsets(channels: int, size: int, rows: int, row: int, count: int) -> Matrix:
    """How far from a pixel its taps lie, in bytes, channel by channel; the last one again up to `count`."""
    offsets = np.empty(count, np.int64)
    tap = 0
    for channel in range(channels):
        for down in range(size):
            for along in range(size):
                offsets[tap] = ((channel * rows + down) * row + along * LANES) * WORD
                tap += 1
    for further in range(tap, count):
        offsets[further] = offsets[tap - 1]
    return offsets


@within()
def correlate(
    src: Matrix, block: int, inputs: int, size: int, packed: Matrix, bias: Matrix, out: Matrix, at: int
) -> None:
    """The first `inputs` channels of a block of `src` with packed weights, and with `bias` where there is any, into the
    block that lies `at` in the float32 maps `out`."""
    _, _, rows, row = src.shape
    height, width = rows - size + 1, row // LANES - size + 1
    apiece = channels_apiece(src)
    taps = (inputs + apiece - 1) // apiece * size * size
    offsets = _offsets((inputs + apiece - 1) // apiece, size, rows, row, taps)
    plane, word = out.shape[2] * out.shape[3] * WORD, src[0, 0, 0, 0]
    padded = numbers(packed.shape[0] * OUTPUTS, 0)
    for channel in range(len(bias)):
        padded[channel] = bias[channel]
    by_tap, by_tile, start = offsets.ctypes.data, packed.ctypes.data, padded.ctypes.data
    from_block, to_block = src[block].ctypes.data, out[at].ctypes.data
    for y in range(height):
        for tile in range(packed.shape[0]):
            here = from_block + y * row * WORD
            there = to_block + tile * OUTPUTS * plane + y * width * VECTOR
            weights, biases = by_tile + tile * taps * OUTPUTS * WORD, start + tile * OUTPUTS * WORD
            left = width
            while left >= WIDE:
                correlate_tile(here, by_tap, taps, weights, biases, there, plane, WIDE, word)
                left, here, there = left - WIDE, here + WIDE * VECTOR, there + WIDE * VECTOR
            while left >= 3:
                correlate_tile(here, by_tap, taps, weights, biases, there, plane, 3, word)
                left, here, there = left - 3, here + 3 * VECTOR, there + 3 * VECTOR
            while left >= 2:
                correlate_tile(here, by_tap, taps, weights, biases, there, plane, 2, word)
                left, here, there = left - 2, here + 2 * VECTOR, there + 2 * VECTOR
            if left:
                correlate_tile(here, by_tap, taps, weights, biases, there, plane, 1, word)


@within()
def moments(
    src: Matrix,
    block: int,
    inputs: int,
    size: int,
    on_maps: Matrix,
    around: int,
    paired_src: Matrix,
    paired: Matrix,
    sums: Matrix,
) -> None:
    """Adds to `sums` the products of the blocks in `on_maps` and the pixels that each tap has read of those in `src`
    from `block` on, lane by lane: of one block, or of two where words are pairs."""
    rows, row = src.shape[2], src.shape[3]
    gradient_rows, gradient_row = on_maps.shape[2], on_maps.shape[3]
    height, width = rows - size + 1, row // LANES - size + 1
    offsets = _offsets(inputs, size, rows, row, sums.shape[1] * WIDE)
    inner = (around * gradient_row + around * LANES) * WORD
    plane = gradient_rows * gradient_row * WORD
    by_tap, to_sums, word = offsets.ctypes.data, sums.ctypes.data, src[0, 0, 0, 0]
    from_src, from_gradient = src[block].ctypes.data, on_maps.ctypes.data
    if channels_apiece(src) == 2:
        pair_images(src, block, paired_src)
        pair_images(on_maps, 0, paired)
        from_src, from_gradient = paired_src.ctypes.data, paired.ctypes.data
    for tile in range(sums.shape[0]):
        channels = from_gradient + tile * OUTPUTS * plane + inner
        for group in range(sums.shape[1]):
            place = to_sums + (tile * sums.shape[1] + group) * OUTPUTS * WIDE * VECTOR
            taps = by_tap + group * WIDE * 8
            moments_tile(channels, plane, gradient_row * WORD, from_src, taps, row * WORD, height, width, place, word)


@within()
def add_up(sums: Matrix, to_weight: Matrix) -> None:
    """The lanes of each tap's sums."""
    outputs, inputs, size, _ = to_weight.shape
    for output in range(outputs):
        tap = 0
        for channel in range(inputs):
            for down in range(size):
                for along in range(size):
                    total, lanes = np.float32(0), sums[output // OUTPUTS, tap // WIDE, output % OUTPUTS, tap % WIDE]
                    for lane in range(LANES):
                        total += lanes[lane]
                    to_weight[output, channel, down, along] = total
                    tap += 1
