"""Pictures as torch has them into maps and words as `direct` has them, and back."""

import numpy as np

from bench.train.fast.kernels import Matrix, compiled
from bench.train.fast.rows import clear, two_rows
from bench.train.fast.tiles import LANES
from bench.train.fast.words import channels_apiece, pack_rows, to_float


@compiled
def lay(pictures: Matrix, out: Matrix, border: int) -> None:
    """(N, C, H, W) float32 into words with a border; 0 for images that there aren't."""
    count, channels, height, width = pictures.shape
    apiece = channels_apiece(out)
    lines = two_rows(width * LANES)
    for block in range(out.shape[0]):
        there = max(min(LANES, count - block * LANES), 0)
        for first in range(0, channels, apiece):
            for y in range(height):
                for channel in range(first, min(first + apiece, channels)):
                    for lane in range(LANES):
                        for x in range(width):
                            value = pictures[block * LANES + lane, channel, y, x] if lane < there else np.float32(0)
                            lines[channel - first, x * LANES + lane] = value
                if apiece == 2 and first + 1 == channels:
                    clear(lines[1])
                pack_rows(lines, out[block, first // apiece, y + border, border * LANES :])


@compiled
def lay_maps(pictures: Matrix, out: Matrix) -> None:
    """(N, C, H, W) float32 into float32 maps; 0 for images that there aren't."""
    count, channels, height, width = pictures.shape
    clear(out.ravel())
    for image in range(count):
        block, lane = image // LANES, image % LANES
        for channel in range(channels):
            for y in range(height):
                for x in range(width):
                    out[block, channel, y, x * LANES + lane] = pictures[image, channel, y, x]


@compiled
def picked_up(words: Matrix, out: Matrix) -> None:
    """Words without a border into (N, C, H, W) float32."""
    count, channels, height, width = out.shape
    apiece = channels_apiece(words)
    for image in range(count):
        block, lane = image // LANES, image % LANES
        for channel in range(channels):
            for y in range(height):
                for x in range(width):
                    word = words[block, channel // apiece, y, x * LANES + lane]
                    out[image, channel, y, x] = to_float(word, channel % apiece)
