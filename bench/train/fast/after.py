"""What follows a convolution, batch norm, ReLU, max pool and dropout, row by row on maps as `direct` has them."""

import numpy as np

from bench.train.fast.kernels import Matrix, _lane, _mix, within
from bench.train.fast.rows import clear, numbers, two_rows
from bench.train.fast.tiles import LANES, VECTOR, copy_pixel
from bench.train.fast.words import channels_apiece, is_positive, pack_rows

_BLOCK = 32


@within()
def statistics_of(
    images: int,
    maps: Matrix,
    running_mean: Matrix,
    running_var: Matrix,
    momentum: float,
    eps: float,
    statistics: Matrix,
) -> None:
    """Mean and 1 / deviation of each channel, and moves the running ones. The variance is that of values minus the
    first image's mean, so that a mean far from 0 costs no digits."""
    blocks, _, height, row = maps.shape
    sums, squares = numbers(row, 0), numbers(row, 0)
    count = images * height * (row // LANES)
    for channel in range(statistics.shape[1]):
        first = np.float64(0)
        for y in range(height):
            for x in range(0, row, LANES):
                first += maps[0, channel, y, x]
        shift = np.float32(first / (height * (row // LANES)))
        total, total_squares = np.float64(0), np.float64(0)
        for block in range(blocks):
            there = min(LANES, images - block * LANES)
            for top in range(0, height, _BLOCK):
                clear(sums)
                clear(squares)
                for y in range(top, min(top + _BLOCK, height)):
                    line = maps[block, channel, y]
                    for i in range(row):
                        value = line[i] - shift
                        sums[i] += value
                        squares[i] += value * value
                total += _total(sums, there)
                total_squares += _total(squares, there)
        shifted_mean = total / count
        var = max(total_squares / count - shifted_mean * shifted_mean, np.float64(0))
        if total != total:  # noqa: PLR0124  # a not-a-number, which `max` may lose
            var = total
        mean = shifted_mean + shift
        statistics[0, channel], statistics[1, channel] = mean, 1 / np.sqrt(var + eps)
        running_mean[channel] += momentum * (mean - running_mean[channel])
        running_var[channel] += momentum * (var * count / (count - 1) - running_var[channel])


@within()
def _total(sums: Matrix, there: int) -> np.float64:
    """The sum, float64, of the lanes that hold images."""
    total = np.float64(0)
    if there == LANES:
        for value in sums:
            total += np.float64(value)
        return total
    for x in range(0, len(sums), LANES):
        for lane in range(there):
            total += np.float64(sums[x + lane])
    return total


@within()
def activate(  # noqa: PLR0912  # a function of its own for each would be compiled twice
    maps: Matrix,
    centre: Matrix,
    factor: Matrix,
    offset: Matrix,
    relu: bool,
    pool: int,
    threshold: np.uint32,
    keys: Matrix,
    out: Matrix,
    border: int,
    where: Matrix,
) -> None:
    """ReLU, max pool and dropout of factor x (maps - centre) + offset. Of equal values in a window the first counts."""
    height, width = maps.shape[2] // pool, maps.shape[3] // LANES // pool
    outputs, apiece = len(centre), channels_apiece(out)
    line, pixels = numbers(maps.shape[3], 0), numbers(width * LANES, 0)
    places = np.empty(width * LANES, np.int32)
    lines = two_rows(width * LANES)
    row_bits = np.empty(LANES, np.uint32)
    for block in range(maps.shape[0]):
        for first in range(0, outputs, apiece):
            for y in range(height):
                if threshold:
                    for lane in range(LANES):
                        row_bits[lane] = _lane((block * LANES + lane) * height + y, keys)
                for channel in range(first, min(first + apiece, outputs)):
                    values = lines[channel - first]
                    if pool == 1:
                        _scaled(maps[block, channel, y], centre[channel], factor[channel], offset[channel], values)
                    else:
                        for down in range(pool):
                            wide = maps[block, channel, y * pool + down]
                            _scaled(wide, centre[channel], factor[channel], offset[channel], line)
                            _larger(line, down, pool, pixels, values, places)
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
def _larger(line: Matrix, down: int, pool: int, values: Matrix, best: Matrix, places: Matrix) -> None:
    """Takes from a line of windows, their row `down`, what is larger; not-a-numbers are, as in torch."""
    for along in range(pool):
        place = np.int32(down * pool + along)
        _step_pixels(line[along * LANES :], pool, values, 1, len(best) // LANES)
        for i in range(len(best)):
            value = values[i]
            larger = place == 0 or value > best[i] or value != value  # noqa: PLR0124
            best[i] = value if larger else best[i]
            places[i] = place if larger else places[i]


@within()
def _step_pixels(src: Matrix, src_step: int, out: Matrix, out_step: int, count: int) -> None:
    """Copies `count` pixels, each so many after the one before."""
    start, to = src.ctypes.data, out.ctypes.data
    for pixel in range(count):
        copy_pixel(start + pixel * src_step * VECTOR, to + pixel * out_step * VECTOR)


@within()
def _drop(values: Matrix, row_bits: Matrix, channel: int, channels: int, threshold: np.uint32, keys: Matrix) -> None:
    for x in range(len(values) // LANES):
        bits = _mix(np.uint32(x * channels + channel) ^ keys[1])
        for lane in range(LANES):
            i = x * LANES + lane
            values[i] = values[i] if _mix(row_bits[lane] ^ bits) >= threshold else np.float32(0)


@within()
def gradient_moments(
    gradient: Matrix, maps: Matrix, centre: Matrix, relu: bool, pool: int, out: Matrix, border: int, where: Matrix
) -> Matrix:
    """Float64 (2, O): of the gradient that reaches `maps` the sum, and the sum of it times maps - centre."""
    blocks, _, height, row = maps.shape
    totals = np.zeros((2, len(centre)))
    pixels, passed = numbers(row, 0), numbers(row, 0)
    sums, products = numbers(row, 0), numbers(row, 0)
    for channel in range(len(centre)):
        middle = centre[channel]
        for block in range(blocks):
            for top in range(0, height, _BLOCK):
                clear(sums)
                clear(products)
                for y in range(top, min(top + _BLOCK, height)):
                    _passed(gradient, block, channel, y, relu, pool, out, border, where, pixels, passed)
                    line = maps[block, channel, y]
                    for i in range(row):
                        sums[i] += passed[i]
                        products[i] += passed[i] * (line[i] - middle)
                totals[0, channel] += _total(sums, LANES)
                totals[1, channel] += _total(products, LANES)
    return totals


@within()
def back_to_maps(  # noqa: PLR0912  # as above
    images: int,
    gradient: Matrix,
    maps: Matrix,
    normed: bool,
    on_passed: Matrix,
    centre: Matrix,
    slopes: Matrix,
    offset: Matrix,
    relu: bool,
    pool: int,
    out: Matrix,
    border: int,
    where: Matrix,
    on_maps: Matrix,
    around: int,
    to_bias: Matrix,
) -> None:
    """Into `on_maps` on_passed x what reaches `maps` + slopes x (maps - centre) + offset; its sums into `to_bias`."""
    blocks, _, height, row = maps.shape
    outputs, apiece = len(on_passed), channels_apiece(on_maps)
    lines, sums = two_rows(row), two_rows(row)
    pixels, totals = numbers(row, 0), np.zeros(outputs)
    for block in range(blocks):
        there = min(LANES, images - block * LANES)
        for first in range(0, outputs, apiece):
            clear(sums[0])
            clear(sums[1])
            for y in range(height):
                for channel in range(first, min(first + apiece, outputs)):
                    line, added = lines[channel - first], sums[channel - first]
                    _passed(gradient, block, channel, y, relu, pool, out, border, where, pixels, line)
                    factor = on_passed[channel]
                    if normed:
                        wide, slope = maps[block, channel, y], slopes[channel]
                        middle, constant = centre[channel], offset[channel]
                        for i in range(row):
                            line[i] = factor * line[i] + slope * (wide[i] - middle) + constant
                        if there < LANES:
                            for x in range(0, row, LANES):
                                for lane in range(there, LANES):
                                    line[x + lane] = 0
                    else:
                        for i in range(row):
                            line[i] *= factor
                    for i in range(row):
                        added[i] += line[i]
                if apiece == 2 and first + 1 == outputs:
                    clear(lines[1])
                pack_rows(lines, on_maps[block, first // apiece, y + around, around * LANES :])
            for channel in range(first, min(first + apiece, outputs)):
                totals[channel] += _total(sums[channel - first], LANES)
    for channel in range(len(to_bias)):  # none where the convolution has no bias
        to_bias[channel] = totals[channel]


@within()
def _passed(
    gradient: Matrix,
    block: int,
    channel: int,
    y: int,
    relu: bool,
    pool: int,
    out: Matrix,
    border: int,
    where: Matrix,
    pixels: Matrix,
    passed: Matrix,
) -> None:
    """What of the gradient reaches a row of maps: what ReLU and dropout let through, at its window's maximum."""
    above = y // pool
    if above >= gradient.shape[2]:
        clear(passed)
        return
    wide = gradient.shape[3] // LANES
    line = gradient[block, channel, above]
    if not relu:
        for i in range(len(line)):
            passed[i] = line[i]
        return
    apiece = channels_apiece(out)
    seen = out[block, channel // apiece, above + border, border * LANES :]
    half = channel % apiece
    if pool == 1:
        for i in range(len(line)):
            passed[i] = line[i] if is_positive(seen[i], half) else np.float32(0)
        return
    places = where[block, channel, above]
    clear(passed[wide * pool * LANES :])
    for along in range(pool):
        place = np.uint8(y % pool * pool + along)
        for i in range(len(line)):
            through = places[i] == place and is_positive(seen[i], half)
            pixels[i] = line[i] if through else np.float32(0)
        _step_pixels(pixels, 1, passed[along * LANES :], pool, wide)
