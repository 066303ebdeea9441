"""A convolution and what follows it, forward and backward, on maps with the images innermost; compiled by numba.

Maps are (blocks, channels, rows, columns x LANES): a block is LANES images, and those that the last one lacks are
computed and count nowhere. What a convolution reads is words (see `words`), in a border of zeros as wide as it asks
for. All else is float32. Arithmetic is in float32, and sums over rows are added up in float64.
"""

import numpy as np

from bench.train.fast.after import activate, add_statistics, settle_statistics
from bench.train.fast.apart import correlate_apart, moments_apart
from bench.train.fast.back import back_to_maps, gradient_moments
from bench.train.fast.convolve import add_up, correlate, moments, pack
from bench.train.fast.kernels import Matrix, compiled, within
from bench.train.fast.rows import clear, numbers
from bench.train.fast.tiles import LANES
from bench.train.fast.words import channels_apiece


@compiled
def forward(
    images: int,
    apart: bool,
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
    learning: bool,
    scale: np.float32,
    threshold: np.uint32,
    keys: Matrix,
) -> None:
    """The convolution of `src` into `maps`, then batch norm, ReLU, max pool and dropout of these into `out`, block by
    block, while it is near.

    - `weight` is (O, I, k, k), `bias` (O,), or empty; `packed`, words (tiles, taps, OUTPUTS), is room for them. Where
      each channel is convolved `apart`, by itself, I is 1, and there are no tiles.
    - `statistics`, float64 (2, O), gets the batch's mean and 1 / deviation, or the running ones where the network isn't
      `learning`; where there is no batch norm it and the four arrays of batch norm are empty. The running ones move by
      `momentum`; `eps` is added to a variance.
    - `maps` have a block each only where the batch is measured; else the blocks take turns in the first.
    - `out` has a border of `border`; `where`, uint8, gets the place of a window's maximum, row by row from 0.
    - `scale` times what is kept, 0 where the random 32 bits of a place lie below `threshold`, as in `kernels.forward`.
    """
    outputs, inputs, size, _ = weight.shape
    blocks = src.shape[0]
    pack(weight, False, packed)
    # What a channel is scaled by, about what, and what is added.
    centre, factor, offset = numbers(outputs, 0), numbers(outputs, scale), numbers(outputs, 0)
    normed = statistics.size > 0
    measured = normed and learning
    if normed and not learning:
        for channel in range(outputs):
            statistics[0, channel] = running_mean[channel]
            statistics[1, channel] = 1 / np.sqrt(np.float64(running_var[channel]) + eps)
        _scale(statistics, norm_weight, norm_bias, scale, centre, factor, offset)
    shift, totals = numbers(outputs, 0), np.zeros((2, outputs))
    for block in range(blocks):
        at = block if measured else 0
        if apart:
            correlate_apart(src, block, weight, False, bias, maps, at)
        else:
            correlate(src, block, inputs, size, packed, bias, maps, at)
        if measured:
            add_statistics(maps, block, min(LANES, images - block * LANES), shift, totals)
        else:
            activate(maps, at, centre, factor, offset, relu, pool, threshold, keys, out, block, border, where)
    if measured:
        count = images * maps.shape[2] * (maps.shape[3] // LANES)
        settle_statistics(totals, shift, count, running_mean, running_var, momentum, eps, statistics)
        _scale(statistics, norm_weight, norm_bias, scale, centre, factor, offset)
        for block in range(blocks):
            activate(maps, block, centre, factor, offset, relu, pool, threshold, keys, out, block, border, where)


@within()
def _scale(
    statistics: Matrix,
    norm_weight: Matrix,
    norm_bias: Matrix,
    scale: np.float32,
    centre: Matrix,
    factor: Matrix,
    offset: Matrix,
) -> None:
    for channel in range(len(centre)):
        slope = norm_weight[channel] * statistics[1, channel]
        centre[channel], factor[channel] = statistics[0, channel], slope * scale
        rounded = statistics[0, channel] - np.float64(centre[channel])
        offset[channel] = (norm_bias[channel] - rounded * slope) * scale


@compiled
def backward(  # noqa: PLR0912  # a function of its own for each would be compiled twice
    images: int,
    apart: bool,
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

    `on_maps` gets that of the convolution's output, words in a border of `around`, one block after the other, or two
    where words are pairs; `to_src`, where it is `asked` for, that of `src` without its border, float32; the others
    those of weight, bias and batch norm's weight and bias.
    `packed` is room for the turned weights, `paired_src` and `paired` for two blocks of `src` and `on_maps`, `sums`,
    (tiles, taps / WIDE, OUTPUTS, WIDE, LANES), for sums.
    """
    outputs, inputs, size, _ = weight.shape
    on_passed, centre = numbers(outputs, scale), numbers(outputs, 0)
    slopes, offset = numbers(outputs, 0), numbers(outputs, 0)
    normed = statistics.size > 0
    if normed:
        for channel in range(outputs):
            centre[channel] = statistics[0, channel]
        totals = gradient_moments(gradient, maps, centre, relu, pool, out, border, where)
        count = images * maps.shape[2] * (maps.shape[3] // LANES)
        for channel in range(outputs):
            rounded, inverse_std = statistics[0, channel] - np.float64(centre[channel]), statistics[1, channel]
            on_norm_bias = totals[0, channel] * scale
            on_weight = (totals[1, channel] * scale - rounded * on_norm_bias) * inverse_std
            to_norm_weight[channel], to_norm_bias[channel] = on_weight, on_norm_bias
            factor = norm_weight[channel] * inverse_std
            slope = -factor * inverse_std * on_weight / count
            on_passed[channel], slopes[channel] = factor * scale, slope
            offset[channel] = -factor * on_norm_bias / count - slope * rounded
    if asked:
        pack(weight, True, packed)
    clear(sums.ravel())
    if apart:
        clear(to_weight.ravel())
    scales, on_bias, no_bias = (on_passed, centre, slopes, offset), np.zeros(outputs), numbers(0, 0)
    apiece = channels_apiece(src)
    for first in range(0, src.shape[0], apiece):
        for block in range(first, first + apiece):
            there = min(LANES, images - block * LANES)
            back_to_maps(
                there, gradient, maps, block, normed, *scales, relu, pool, out, border, where, on_maps, block - first,
                around, on_bias,
            )  # fmt: skip
        if apart:
            moments_apart(src, first, on_maps, around, to_weight)
        else:
            moments(src, first, inputs, size, on_maps, around, paired_src, paired, sums)
        for block in range(first, first + apiece if asked else 0):
            if apart:
                correlate_apart(on_maps, block - first, weight, True, no_bias, to_src, block)
            else:
                correlate(on_maps, block - first, outputs, size, packed, no_bias, to_src, block)
    for channel in range(len(to_bias)):  # none where the convolution has no bias
        to_bias[channel] = on_bias[channel]
    if not apart:
        add_up(sums, to_weight)
