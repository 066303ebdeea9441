"""A convolution and what follows it, forward and backward, on maps with the images innermost; compiled by numba.

Maps are (blocks, channels, rows, columns x LANES): a block is LANES images, and those that the last one lacks are
computed and count nowhere. What a convolution reads is words (see `tiles`), in a border of zeros as wide as it asks
for: float32, or pairs of bfloat16, where channel 2 j is the lower half of word j. All else is float32. Arithmetic is
in float32, and sums over rows are added up in float64.
"""

import numpy as np

from bench.train.fast.kernels import Matrix, _lane, _mix, _within, compiled
from bench.train.fast.tiles import LANES, OUTPUTS, VECTOR, WIDE, WORD, copy_pixel, correlate_tile, moments_tile
from bench.train.fast.words import channels_apiece, is_positive, pack_rows, pair_images, to_float, to_word

_BLOCK = 32


@compiled
def forward(
    images: int,
    src: Matrix,
    weight: Matrix,
    bias: Matrix,
    packed: Matrix,
    maps: Matrix,
    statistics: Matrix,
    relu: bool,
    pool: int,
    where: Matrix,
    out: Matrix,
    border: int,
    norm_weight: Matrix,
    norm_bias: Matrix,
    running_mean: Matrix,
    running_var: Matrix,
    momentum: float,
    eps: float,
    scale: np.float32,
    threshold: np.uint32,
    keys: Matrix,
) -> None:
    """The convolution of `src` into `maps`, then batch norm, ReLU, max pool and dropout of these into `out`.

    - `weight` is (O, I, k, k), `bias` (O,), or empty; `packed`, words (tiles, taps, OUTPUTS), is room for them.
    - `statistics`, float64 (2, O), gets the batch's mean and 1 / deviation; where there is no batch norm it and the four
      arrays of batch norm are empty. The running ones move by `momentum`; `eps` is added to a variance.
    - `out` has a border of `border`; `where`, uint8, gets the place of a window's maximum, row by row from 0.
    - `scale` times what is kept, 0 where the random 32 bits of a place lie below `threshold`, as in `kernels.forward`.
    """
    outputs = weight.shape[0]
    _pack(weight, False, packed)
    _correlate(src, weight.shape[1], weight.shape[2], packed, bias, maps)
    # What a channel is scaled by, about what, and what is added.
    centre, factor, offset = _numbers(outputs, 0), _numbers(outputs, scale), _numbers(outputs, 0)
    if statistics.size:
        _statistics(images, maps, running_mean, running_var, momentum, eps, statistics)
        for channel in range(outputs):
            slope = norm_weight[channel] * statistics[1, channel]
            centre[channel], factor[channel] = statistics[0, channel], slope * scale
            rounded = statistics[0, channel] - np.float64(centre[channel])
            offset[channel] = (norm_bias[channel] - rounded * slope) * scale
    _activate(maps, centre, factor, offset, relu, pool, threshold, keys, out, border, where)


@compiled
def backward(
    images: int,
    gradient: Matrix,
    src: Matrix,
    weight: Matrix,
    packed: Matrix,
    maps: Matrix,
    statistics: Matrix,
    relu: bool,
    pool: int,
    where: Matrix,
    out: Matrix,
    border: int,
    norm_weight: Matrix,
    on_maps: Matrix,
    around: int,
    paired_src: Matrix,
    paired: Matrix,
    sums: Matrix,
    to_src: Matrix,
    to_weight: Matrix,
    to_bias: Matrix,
    to_norm_weight: Matrix,
    to_norm_bias: Matrix,
    scale: np.float32,
    asked: bool,
) -> None:
    """The gradients of what `forward` did, from `gradient`, float32, with respect to `out` without its border.

    `on_maps` gets that of the convolution's output, words in a border of `around`; `to_src`, where it is `asked` for,
    that of `src` without its border, float32; the others those of weight, bias and batch norm's weight and bias.
    `packed` is room for the turned weights, `paired_src` and `paired` for two blocks of `src` and `on_maps`, `sums`,
    (tiles, taps / WIDE, OUTPUTS, WIDE, LANES), for sums.
    """
    outputs, inputs, size, _ = weight.shape
    on_passed, centre = _numbers(outputs, scale), _numbers(outputs, 0)
    slopes, offset = _numbers(outputs, 0), _numbers(outputs, 0)
    normed = statistics.size > 0
    if normed:
        for channel in range(outputs):
            centre[channel] = statistics[0, channel]
        totals = _gradient_moments(gradient, maps, centre, relu, pool, out, border, where)
        count = images * maps.shape[2] * (maps.shape[3] // LANES)
        for channel in range(outputs):
            rounded, inverse_std = statistics[0, channel] - np.float64(centre[channel]), statistics[1, channel]
            on_bias = totals[0, channel] * scale
            on_weight = (totals[1, channel] * scale - rounded * on_bias) * inverse_std
            to_norm_weight[channel], to_norm_bias[channel] = on_weight, on_bias
            factor = norm_weight[channel] * inverse_std
            slope = -factor * inverse_std * on_weight / count
            on_passed[channel], slopes[channel] = factor * scale, slope
            offset[channel] = -factor * on_bias / count - slope * rounded
    _back_to_maps(
        images, gradient, maps, normed, on_passed, centre, slopes, offset, relu, pool, out, border, where, on_maps, around, to_bias
    )  # fmt: skip
    _moments(src, inputs, size, on_maps, outputs, around, paired_src, paired, sums)
    _add_up(sums, to_weight)
    if asked:
        _pack(weight, True, packed)
        _correlate(on_maps, outputs, size, packed, _numbers(0, 0), to_src)


@_within()
def _numbers(count: int, value: float) -> Matrix:
    numbers = np.empty(count, np.float32)
    for i in range(count):
        numbers[i] = value
    return numbers


@_within()
def _two(count: int) -> Matrix:
    """Two rows of zeros."""
    return _numbers(2 * count, 0).reshape(2, count)


@_within()
def _clear(numbers: Matrix) -> None:
    for i in range(len(numbers)):
        numbers[i] = 0


@_within()
def _pack(weight: Matrix, turned: bool, packed: Matrix) -> None:
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


@_within()
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


@_within()
def _correlate(src: Matrix, inputs: int, size: int, packed: Matrix, bias: Matrix, out: Matrix) -> None:
    """The first `inputs` channels of `src` with packed weights, and with `bias` where there is any, into the float32 maps
    `out`."""
    blocks, _, rows, row = src.shape
    height, width = rows - size + 1, row // LANES - size + 1
    apiece = channels_apiece(src)
    taps = (inputs + apiece - 1) // apiece * size * size
    offsets = _offsets((inputs + apiece - 1) // apiece, size, rows, row, taps)
    plane, word = out.shape[2] * out.shape[3] * WORD, src[0, 0, 0, 0]
    padded = _numbers(packed.shape[0] * OUTPUTS, 0)
    for channel in range(len(bias)):
        padded[channel] = bias[channel]
    by_tap, by_tile, start = offsets.ctypes.data, packed.ctypes.data, padded.ctypes.data
    for block in range(blocks):
        from_block, to_block = src[block].ctypes.data, out[block].ctypes.data
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


@_within()
def _moments(
    src: Matrix,
    inputs: int,
    size: int,
    on_maps: Matrix,
    outputs: int,
    around: int,
    paired_src: Matrix,
    paired: Matrix,
    sums: Matrix,
) -> None:
    """Into `sums` the products of `on_maps` and the pixels of `src` that each tap has read, lane by lane."""
    rows, row = src.shape[2], src.shape[3]
    gradient_rows, gradient_row = on_maps.shape[2], on_maps.shape[3]
    height, width = rows - size + 1, row // LANES - size + 1
    offsets = _offsets(inputs, size, rows, row, sums.shape[1] * WIDE)
    inner = (around * gradient_row + around * LANES) * WORD
    plane = gradient_rows * gradient_row * WORD
    _clear(sums.ravel())
    by_tap, to_sums, word = offsets.ctypes.data, sums.ctypes.data, src[0, 0, 0, 0]
    apiece = channels_apiece(src)
    for block in range(0, src.shape[0], apiece):
        from_src, from_gradient = src[block].ctypes.data, on_maps[block].ctypes.data
        if apiece == 2:  # noqa: PLR2004
            pair_images(src, block, paired_src)
            pair_images(on_maps, block, paired)
            from_src, from_gradient = paired_src.ctypes.data, paired.ctypes.data
        for tile in range(sums.shape[0]):
            channels = from_gradient + tile * OUTPUTS * plane + inner
            for group in range(sums.shape[1]):
                place = to_sums + (tile * sums.shape[1] + group) * OUTPUTS * WIDE * VECTOR
                taps = by_tap + group * WIDE * 8
                moments_tile(
                    channels, plane, gradient_row * WORD, from_src, taps, row * WORD, height, width, place, word
                )  # fmt: skip


@_within()
def _add_up(sums: Matrix, to_weight: Matrix) -> None:
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


@_within()
def _statistics(
    images: int,
    maps: Matrix,
    running_mean: Matrix,
    running_var: Matrix,
    momentum: float,
    eps: float,
    statistics: Matrix,
) -> None:
    """Mean and 1 / deviation of each channel, and moves the running ones. The variance is that of values minus the first
    image's mean, so that a mean far from 0 costs no digits."""
    blocks, _, height, row = maps.shape
    sums, squares = _numbers(row, 0), _numbers(row, 0)
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
                _clear(sums)
                _clear(squares)
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


@_within()
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


@_within()
def _activate(
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
    line, pixels = _numbers(maps.shape[3], 0), _numbers(width * LANES, 0)
    places = np.empty(width * LANES, np.int32)
    lines = _two(width * LANES)
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
                if apiece == 2 and first + 1 == outputs:  # noqa: PLR2004
                    _clear(lines[1])
                pack_rows(lines, out[block, first // apiece, y + border, border * LANES :])


@_within()
def _scaled(pixels: Matrix, centre: np.float32, factor: np.float32, offset: np.float32, values: Matrix) -> None:
    for i in range(len(values)):
        values[i] = (pixels[i] - centre) * factor + offset


@_within()
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


@_within()
def _step_pixels(src: Matrix, src_step: int, out: Matrix, out_step: int, count: int) -> None:
    """Copies `count` pixels, each so many after the one before."""
    start, to = src.ctypes.data, out.ctypes.data
    for pixel in range(count):
        copy_pixel(start + pixel * src_step * VECTOR, to + pixel * out_step * VECTOR)


@_within()
def _drop(values: Matrix, row_bits: Matrix, channel: int, channels: int, threshold: np.uint32, keys: Matrix) -> None:
    for x in range(len(values) // LANES):
        bits = _mix(np.uint32(x * channels + channel) ^ keys[1])
        for lane in range(LANES):
            i = x * LANES + lane
            values[i] = values[i] if _mix(row_bits[lane] ^ bits) >= threshold else np.float32(0)


@_within()
def _gradient_moments(
    gradient: Matrix, maps: Matrix, centre: Matrix, relu: bool, pool: int, out: Matrix, border: int, where: Matrix
) -> Matrix:
    """Float64 (2, O): of the gradient that reaches `maps` the sum, and the sum of it times maps - centre."""
    blocks, _, height, row = maps.shape
    totals = np.zeros((2, len(centre)))
    pixels, passed = _numbers(row, 0), _numbers(row, 0)
    sums, products = _numbers(row, 0), _numbers(row, 0)
    for channel in range(len(centre)):
        middle = centre[channel]
        for block in range(blocks):
            for top in range(0, height, _BLOCK):
                _clear(sums)
                _clear(products)
                for y in range(top, min(top + _BLOCK, height)):
                    _passed(gradient, block, channel, y, relu, pool, out, border, where, pixels, passed)
                    line = maps[block, channel, y]
                    for i in range(row):
                        sums[i] += passed[i]
                        products[i] += passed[i] * (line[i] - middle)
                totals[0, channel] += _total(sums, LANES)
                totals[1, channel] += _total(products, LANES)
    return totals


@_within()
def _back_to_maps(
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
    """Into `on_maps` on_passed x what reaches `maps` + slopes x (maps - centre) + offset, and its sums into `to_bias`."""
    blocks, _, height, row = maps.shape
    outputs, apiece = len(on_passed), channels_apiece(on_maps)
    lines, sums = _two(row), _two(row)
    pixels, totals = _numbers(row, 0), np.zeros(outputs)
    for block in range(blocks):
        there = min(LANES, images - block * LANES)
        for first in range(0, outputs, apiece):
            _clear(sums[0])
            _clear(sums[1])
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
                if apiece == 2 and first + 1 == outputs:  # noqa: PLR2004
                    _clear(lines[1])
                pack_rows(lines, on_maps[block, first // apiece, y + around, around * LANES :])
            for channel in range(first, min(first + apiece, outputs)):
                totals[channel] += _total(sums[channel - first], LANES)
    for channel in range(len(to_bias)):  # none where the convolution has no bias
        to_bias[channel] = totals[channel]


@_within()
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
        _clear(passed)
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
    _clear(passed[wide * pool * LANES :])
    for along in range(pool):
        place = np.uint8(y % pool * pool + along)
        for i in range(len(line)):
            through = places[i] == place and is_positive(seen[i], half)
            pixels[i] = line[i] if through else np.float32(0)
        _step_pixels(pixels, 1, passed[along * LANES :], pool, wide)


@compiled
def lay(pictures: Matrix, out: Matrix, border: int) -> None:
    """(N, C, H, W) float32 into words with a border; 0 for images that there aren't."""
    count, channels, height, width = pictures.shape
    apiece = channels_apiece(out)
    lines = _two(width * LANES)
    for block in range(out.shape[0]):
        there = max(min(LANES, count - block * LANES), 0)
        for first in range(0, channels, apiece):
            for y in range(height):
                for channel in range(first, min(first + apiece, channels)):
                    for lane in range(LANES):
                        for x in range(width):
                            value = pictures[block * LANES + lane, channel, y, x] if lane < there else np.float32(0)
                            lines[channel - first, x * LANES + lane] = value
                if apiece == 2 and first + 1 == channels:  # noqa: PLR2004
                    _clear(lines[1])
                pack_rows(lines, out[block, first // apiece, y + border, border * LANES :])


@compiled
def lay_maps(pictures: Matrix, out: Matrix) -> None:
    """(N, C, H, W) float32 into float32 maps; 0 for images that there aren't."""
    count, channels, height, width = pictures.shape
    _clear(out.ravel())
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
