"""From the gradient of what follows a convolution to that of the convolution's output, row by row on maps as `direct`
has them."""

import numpy as np

from bench.train.fast.kernels import Matrix, within
from bench.train.fast.rows import BLOCK, clear, numbers, step_pixels, total_of, two_rows
from bench.train.fast.tiles import LANES
from bench.train.fast.words import channels_apiece, is_positive, pack_rows


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
            for top in range(0, height, BLOCK):
                clear(sums)
                clear(products)
                for y in range(top, min(top + BLOCK, height)):
                    _passed(gradient, block, channel, y, relu, pool, out, border, where, pixels, passed)
                    line = maps[block, channel, y]
                    for i in range(row):
                        sums[i] += passed[i]
                        products[i] += passed[i] * (line[i] - middle)
                totals[0, channel] += total_of(sums, LANES)
                totals[1, channel] += total_of(products, LANES)
    return totals


@within()
def back_to_maps(  # noqa: PLR0912  # a function of its own for each would be compiled twice
    there: int,
    gradient: Matrix,
    maps: Matrix,
    block: int,
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
    at: int,
    around: int,
    totals: Matrix,
) -> None:
    """Of a block with `there` images into the one that lies `at` in `on_maps`: on_passed x what reaches `maps` +
    slopes x (maps - centre) + offset. Adds its sums to `totals`, float64 (O,)."""
    _, _, height, row = maps.shape
    outputs, apiece = len(on_passed), channels_apiece(on_maps)
    lines, sums = two_rows(row), two_rows(row)
    pixels = numbers(row, 0)
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
            pack_rows(lines, on_maps[at, first // apiece, y + around, around * LANES :])
        for channel in range(first, min(first + apiece, outputs)):
            totals[channel] += total_of(sums[channel - first], LANES)


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
        step_pixels(pixels, 1, passed[along * LANES :], pool, wide)
