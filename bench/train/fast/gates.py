"""Channel attention and a shortcut around a block, on maps as `direct` has them; compiled by numba."""

import numpy as np

from bench.train.fast.after import take_larger
from bench.train.fast.kernels import Matrix, compiled, within
from bench.train.fast.rows import clear, numbers, step_pixels
from bench.train.fast.tiles import LANES


@compiled
def sums_of(maps: Matrix, factors: Matrix, out: Matrix) -> None:
    """Into `out`, (N, C), the sum of each image's maps, times `factors`, other maps, where there are any."""
    images, channels = out.shape
    row = maps.shape[3]
    sums = numbers(row, 0)
    for block in range(maps.shape[0]):
        for channel in range(channels):
            clear(sums)
            for y in range(maps.shape[2]):
                line = maps[block, channel, y]
                if factors.size:
                    others = factors[block, channel, y]
                    for i in range(row):
                        sums[i] += line[i] * others[i]
                else:
                    for i in range(row):
                        sums[i] += line[i]
            for lane in range(min(LANES, images - block * LANES)):
                total = np.float64(0)
                for x in range(0, row, LANES):
                    total += sums[x + lane]
                out[block * LANES + lane, channel] = total


@compiled
def finish(
    maps: Matrix,
    gates: Matrix,
    offsets: Matrix,
    src: Matrix,
    inside: int,
    pool: int,
    where: Matrix,
    out: Matrix,
    border: int,
) -> None:
    """Into `out`, that has a border of `border`, gates x maps + offsets, and a shortcut from `src`.

    - `gates` and `offsets` are (N, C), or empty: then they are 1 and 0. Images that there aren't have zeros.
    - `pool` is the width of the shortcut's max pool over what lies `inside` so many pixels of `src`; 0 for none.
    - `where` gets the place of a window's maximum, as in `direct.forward`.
    """
    row = maps.shape[3]
    factor, offset, beside = numbers(row, 1), numbers(row, 0), numbers(row, 0)
    pixels, places = numbers(row, 0), np.empty(row, np.int32)
    for block in range(out.shape[0]):
        for channel in range(out.shape[1]):
            if gates.size:
                _by_lane(gates, block, channel, factor)
            if offsets.size:
                _by_lane(offsets, block, channel, offset)
            for y in range(maps.shape[2]):
                line, to = maps[block, channel, y], out[block, channel, y + border, border * LANES :]
                if pool == 1:
                    wide = src[block, channel, inside + y, inside * LANES :]
                    for i in range(row):
                        beside[i] = wide[i]
                elif pool > 1:
                    for down in range(pool):
                        wide = src[block, channel, inside + y * pool + down, inside * LANES :]
                        take_larger(wide, down, pool, pixels, beside, places)
                    for i in range(row):
                        where[block, channel, y, i] = places[i]
                for i in range(row):
                    to[i] = line[i] * factor[i] + offset[i] + beside[i]


@within()
def _by_lane(values: Matrix, block: int, channel: int, out: Matrix) -> None:
    """A channel's numbers of the images of a block, for each pixel of a row."""
    for lane in range(LANES):
        image = block * LANES + lane
        out[lane] = values[image, channel] if image < len(values) else np.float32(0)
    for i in range(LANES, len(out)):
        out[i] = out[i - LANES]


@compiled
def add_shortcut(gradient: Matrix, where: Matrix, crop: int, pool: int, to_src: Matrix) -> None:
    """Adds to the gradient of a block's input what the shortcut brings of the one of its output."""
    row = gradient.shape[3]
    spread, pixels = numbers(row * pool, 0), numbers(row, 0)
    for block in range(where.shape[0]):
        for channel in range(where.shape[1]):
            for y in range(gradient.shape[2]):
                line = gradient[block, channel, y]
                for down in range(pool):
                    to = to_src[block, channel, crop + y * pool + down, crop * LANES :]
                    if pool == 1:
                        for i in range(row):
                            to[i] += line[i]
                        continue
                    places = where[block, channel, y]
                    for along in range(pool):
                        place = np.uint8(down * pool + along)
                        for i in range(row):
                            pixels[i] = line[i] if places[i] == place else np.float32(0)
                        step_pixels(pixels, 1, spread[along * LANES :], pool, row // LANES)
                    for i in range(len(spread)):
                        to[i] += spread[i]
