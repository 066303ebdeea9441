"""What follows a convolution, batch norm, ReLU, max pool and dropout, row by row on maps as `direct` has them."""

import numpy as np

from bench.train.fast.kernels import Matrix, lane_bits, mixed, within
from bench.train.fast.rows import BLOCK, clear, numbers, step_pixels, total_of, two_rows
from bench.train.fast.tiles import LANES
from bench.train.fast.words import channels_apiece, pack_rows


@within()
def add_statistics(maps: Matrix, block: int, there: int, shift: Matrix, totals: Matrix) -> None:
    """Adds to `totals`, float64 (2, O), the sums and the sums of squares of a block's maps, `there` images, minus
    `shift`, float32 (O,): the first image's mean, which block 0 sets, so that a mean far from 0 costs no digits."""
    _, _, height, row = maps.shape
    sums, squares = numbers(row, 0), numbers(row, 0)
    for channel in range(len(shift)):
        if block == 0:
            first = np.float64(0)
            for y in range(height):
                for x in range(0, row, LANES):
                    first += maps[0, channel, y, x]
            shift[channel] = np.float32(first / (height * (row // LANES)))
        for top in range(0, height, BLOCK):
            clear(sums)
            clear(squares)
            for y in range(top, min(top + BLOCK, height)):
                line = maps[block, channel, y]
                for i in range(row):
                    value = line[i] - shift[channel]
                    sums[i] += value
                    squares[i] += value * value
            totals[0, channel] += total_of(sums, there)
            totals[1, channel] += total_of(squares, there)


@within()
def settle_statistics(
    totals: Matrix,
    shift: Matrix,
    count: int,
    running_mean: Matrix,
    running_var: Matrix,
    momentum: float,
    eps: float,
    statistics: Matrix,
) -> None:
    """Mean and 1 / deviation of each channel of `count` pixels, and moves the running ones."""
    for channel in range(len(shift)):
        shifted_mean = totals[0, channel] / count
        var = max(totals[1, channel] / count - shifted_mean * shifted_mean, np.float64(0))
        if totals[0, channel] != totals[0, channel]:  # a not-a-number, which `max` may lose
            var = totals[0, channel]
        mean = shifted_mean + shift[channel]
        statistics[0, channel], statistics[1, channel] = mean, 1 / np.sqrt(var + eps)
        running_mean[channel] += momentum * (mean - running_mean[channel])
        running_var[channel] += momentum * (var * count / (count - 1) - running_var[channel])


@within()
def activate(  # noqa: PLR0912  # a function of its own for each would be compiled twice
    maps: Matrix,
    at: int,
    centre: Matrix,
    factor: Matrix,
    offset: Matrix,
    relu: bool,
    pool: int,
    threshold: np.uint32,
    keys: Matrix,
    out: Matrix,
    block: int,
    border: int,
    where: Matrix,
) -> None:
    """ReLU, max pool and dropout of factor x (maps - centre) + offset, of the block that lies `at` in `maps`. Of equal
    values in a window the first counts."""
    height, width = maps.shape[2] // pool, maps.shape[3] // LANES // pool
    outputs, apiece = len(centre), channels_apiece(out)
    line, pixels = numbers(maps.shape[3], 0), numbers(width * LANES, 0)
    places = np.empty(width * LANES, np.int32)
    lines = two_rows(width * LANES)
    row_bits = np.empty(LANES, np.uint32)
    for first in range(0, outputs, apiece):
        for y in range(height):
            if threshold:
                for lane in range(LANES):
                    row_bits[lane] = lane_bits((block * LANES + lane) * height + y, keys)
            for channel in range(first, min(first + apiece, outputs)):
                values = lines[channel - first]
                if pool == 1:
                    _scaled(maps[at, channel, y], centre[channel], factor[channel], offset[channel], values)
                else:
                    for down in range(pool):
                        wide = maps[at, channel, y * pool + down]
                        _scaled(wide, centre[channel], factor[channel], offset[channel], line)
                        take_larger(line, down, pool, pixels, values, places)
                    for i in range(len(places)):
                        where[block, channel, y, i] = places[i]
                if relu:
                    for i in range(len(values)):
                        values[i] = np.float32(0) if values[i] <= 0 else values[i]
                if threshold:
                    _drop(values, row_bits, channel, outputs, threshold, keys)
            if apiece == 2 and first + 1 == outputs:
                clear(lines[1])
            pack_rows(lines, out[block, first // apiece, y + border, border * LANES :])


@within()
def _scaled(pixels: Matrix, centre: np.float32, factor: np.float32, offset: np.float32, values: Matrix) -> None:
    for i in range(len(values)):
        values[i] = (pixels[i] - centre) * factor + offset


@within()
def take_larger(line: Matrix, down: int, pool: int, values: Matrix, best: Matrix, places: Matrix) -> None:
    """Takes from a line of windows, their row `down`, what is larger; not-a-numbers are, as in torch."""
    for along in range(pool):
        place = np.int32(down * pool + along)
        step_pixels(line[along * LANES :], pool, values, 1, len(best) // LANES)
        for i in range(len(best)):
            value = values[i]
            larger = place == 0 or value > best[i] or value != value  # noqa: PLR0124
            best[i] = value if larger else best[i]
            places[i] = place if larger else places[i]


@within()
def _drop(values: Matrix, row_bits: Matrix, channel: int, channels: int, threshold: np.uint32, keys: Matrix) -> None:
    for x in range(len(values) // LANES):
        bits = mixed(np.uint32(x * channels + channel) ^ keys[1])
        for lane in range(LANES):
            i = x * LANES + lane
            values[i] = values[i] if mixed(row_bits[lane] ^ bits) >= threshold else np.float32(0)
