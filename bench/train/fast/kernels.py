"""Loops over maps in one pass through memory, compiled by numba: what torch does in five calls for a small network.

Every matrix is a view of maps laid out channels last, (N H, W C): a row holds a row of pixels, and what belongs to a
channel (a factor, an offset) is repeated along it. That fills vector registers however few channels there are. A matrix
holds float32, or bfloat16 as uint16; arithmetic is in float32, and sums over a block of rows are added up in float64.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.extending import overload

Matrix = np.ndarray[Any, np.dtype[Any]]

_BLOCK = 32

# Sums may be reordered to fill vector registers; not-a-numbers and infinities stay what they are.
within = partial(njit, fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
_inlined = within(forceinline=True)


def compiled(function: Any) -> Any:
    """Compiles on the first call, and keeps the result on the disk where there is a place for it."""
    try:
        return within(cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return within()(function)


def sources_digest(folder: Path) -> str:
    """A digest of all Python files in a folder."""
    files = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


# numba sees that a kernel's own file has changed, and not that another has which it takes functions from: what it keeps
# on the disk lies in a folder of all their sources' name. Not in `compiled`, whose code is part of trials' keys.
_HERE = Path(__file__).parent
_settings: Any = config
_settings.CACHE_DIR = str(Path(_settings.CACHE_DIR or _HERE / "__pycache__") / f"kernels-{sources_digest(_HERE)}")


@compiled
def forward(
    maps: Matrix,
    height: int,
    pool: int,
    channels: int,
    norm: Any,
    moved: Any,
    scale: np.float32,
    threshold: np.uint32,
    keys: Any,
    out: Matrix,
    where: Any,
) -> None:
    """Batch norm, ReLU, max pool and dropout of `maps`, whose images are `height` rows each, into `out`.

    - `norm` is None, or per channel weight, bias, mean and variance, float32, and the constant added to a variance.
    - `moved` is None where that mean and variance are the ones to use. Else they are running ones: the batch's move
      them by its first item, the momentum; the batch's mean and 1 / deviation go to the others, float64.
    - `scale` times what is kept; where `keys` is not None, 0 where the random 32 bits of a place lie below `threshold`.
    - `where`, uint8 like `out`, gets the place of a window's maximum, row by row from 0; None for a pool of 1.
    """
    columns = maps.shape[1]
    factor = np.full(columns, scale, np.float32)
    centre, offset = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    if norm is not None:
        weight, bias, mean, var, eps = norm
        if moved is not None:
            _statistics(maps, height, mean, var, eps, moved)
        for channel in range(channels):
            if moved is not None:
                exact, inverse_std = moved[1][channel], moved[2][channel]
            else:
                exact, inverse_std = np.float64(mean[channel]), 1 / np.sqrt(np.float64(var[channel]) + eps)
            slope, near = weight[channel] * inverse_std, np.float32(exact)
            centre[channel::channels], factor[channel::channels] = near, slope * scale
            offset[channel::channels] = (bias[channel] - (exact - near) * slope) * scale
    if where is None:
        _activate(maps, centre, factor, offset, threshold, keys, out)
    else:
        _activate_and_pool(maps, height, pool, channels, centre, factor, offset, threshold, keys, out, where)


@compiled
def backward(
    gradient: Matrix,
    maps: Matrix,
    height: int,
    pool: int,
    channels: int,
    norm: Any,
    scale: np.float32,
    out: Matrix,
    where: Any,
    result: Matrix,
) -> None:
    """The gradient with respect to `maps` into `result`, from the one with respect to `out`.

    `norm` is None, or per channel weight, float32, the batch's mean and 1 / deviation, float64, and where the gradients
    of weight and bias go, float32.
    """
    rows, columns = maps.shape
    on_passed, centre = np.full(columns, scale, np.float32), np.zeros(columns, np.float32)
    on_maps, offset = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    if norm is not None:
        weight, mean, inverse_std, to_weight, to_bias = norm
        for channel in range(channels):
            centre[channel::channels] = mean[channel]
        sums, products = _gradient_moments(gradient, maps, height, pool, channels, centre, out, where)
        count = rows * (columns // channels)
        for channel in range(channels):
            rounded = mean[channel] - np.float64(centre[channel])
            on_bias = sums[channel::channels].sum() * scale
            on_weight = (products[channel::channels].sum() * scale - rounded * on_bias) * inverse_std[channel]
            to_weight[channel], to_bias[channel] = on_weight, on_bias
            factor = weight[channel] * inverse_std[channel]
            slope = -factor * inverse_std[channel] * on_weight / count
            on_passed[channel::channels] = factor * scale
            on_maps[channel::channels] = slope
            offset[channel::channels] = -factor * on_bias / count - slope * rounded
    window, across, passed, spread, place = _unpooling(columns, channels, pool)
    for row in range(rows):
        _unpool(gradient, row, height, pool, out, where, window, across, passed, spread, place)
        for column in range(columns):
            value = on_passed[column] * passed[column]
            if norm is not None:
                value += on_maps[column] * (_float(maps[row, column]) - centre[column]) + offset[column]
            result[row, column] = _like(value, result[row, column])


@within()
def _statistics(maps: Matrix, height: int, running_mean: Matrix, running_var: Matrix, eps: float, moved: Any) -> None:
    """Moves the running mean and variance by the batch's. The variance is that of values minus the first image's mean,
    so that a mean far from 0 costs no digits: the running mean is still far off when a training begins."""
    rows, columns = maps.shape
    momentum, mean, inverse_std = moved
    channels = len(mean)
    shift = np.zeros(columns, np.float32)
    for row in range(height):
        for column in range(columns):
            shift[column] += _float(maps[row, column])
    for channel in range(channels):
        shift[channel::channels] = shift[channel::channels].sum() / (height * (columns // channels))
    sums, squares = np.zeros(columns), np.zeros(columns)
    block_sums, block_squares = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for first in range(0, rows, _BLOCK):
        block_sums[:] = 0
        block_squares[:] = 0
        for row in range(first, min(first + _BLOCK, rows)):
            for column in range(columns):
                value = _float(maps[row, column]) - shift[column]
                block_sums[column] += value
                block_squares[column] += value * value
        for column in range(columns):
            sums[column] += block_sums[column]
            squares[column] += block_squares[column]
    count = rows * (columns // channels)
    for channel in range(channels):
        shifted_mean = sums[channel::channels].sum() / count
        var = squares[channel::channels].sum() / count - shifted_mean * shifted_mean
        if var < 0:
            var = 0.0
        mean[channel] = shifted_mean + shift[channel]
        inverse_std[channel] = 1 / np.sqrt(var + eps)
        running_mean[channel] += momentum * (mean[channel] - running_mean[channel])
        running_var[channel] += momentum * (var * count / (count - 1) - running_var[channel])


@within()
def _activate(
    maps: Matrix, centre: Matrix, factor: Matrix, offset: Matrix, threshold: np.uint32, keys: Any, out: Matrix
) -> None:
    """ReLU and dropout of factor x (maps - centre) + offset."""
    rows, columns = maps.shape
    lanes = _lanes(columns, keys)
    for row in range(rows):
        lane = lane_bits(row, keys)
        for column in range(columns):
            value = (_float(maps[row, column]) - centre[column]) * factor[column] + offset[column]
            value = np.float32(0) if value <= 0 else value
            if keys is not None:
                value = value if mixed(lane ^ lanes[column]) >= threshold else np.float32(0)
            out[row, column] = _like(value, out[row, column])


@within()
def _activate_and_pool(
    maps: Matrix,
    height: int,
    pool: int,
    channels: int,
    centre: Matrix,
    factor: Matrix,
    offset: Matrix,
    threshold: np.uint32,
    keys: Any,
    out: Matrix,
    where: Matrix,
) -> None:
    """ReLU, max pool and dropout of factor x (maps - centre) + offset. Of equal values in a window the first counts."""
    rows, columns = out.shape
    wide = columns * pool
    largest, place = np.empty(wide, np.float32), np.empty(wide, np.int32)
    best, best_place = np.empty(wide, np.float32), np.empty(wide, np.int32)
    pooled, pooled_place = np.empty(columns, np.float32), np.empty(columns, np.int32)
    left = np.empty(columns, np.uint32)
    for column in range(columns):
        left[column] = column // channels * channels * pool + column % channels
    lanes = _lanes(columns, keys)
    for row in range(rows):
        first = row // (height // pool) * height + row % (height // pool) * pool
        for column in range(wide):
            largest[column] = (_float(maps[first, column]) - centre[column]) * factor[column] + offset[column]
            place[column] = 0
        for below in range(1, pool):
            at = np.int32(below * pool)
            for column in range(wide):
                value = (_float(maps[first + below, column]) - centre[column]) * factor[column] + offset[column]
                larger = value > largest[column] or value != value  # noqa: PLR0124  # torch's too is lost to a NaN
                largest[column] = value if larger else largest[column]
                place[column] = at if larger else place[column]
        best[:] = largest
        best_place[:] = place
        # A window's columns lie `channels` apart; every column is taken for a window's first, and then those that are.
        for right in range(1, pool):
            others, other_places, step = largest[right * channels :], place[right * channels :], np.int32(right)
            for column in range(len(others)):
                value, at = others[column], other_places[column] + step
                better = value > best[column] or (value == best[column] and at < best_place[column]) or value != value  # noqa: PLR0124
                best[column] = value if better else best[column]
                best_place[column] = at if better else best_place[column]
        _gather(best, left, pooled)
        _gather(best_place, left, pooled_place)
        lane = lane_bits(row, keys)
        for column in range(columns):
            value = np.float32(0) if pooled[column] <= 0 else pooled[column]
            if keys is not None:
                value = value if mixed(lane ^ lanes[column]) >= threshold else np.float32(0)
            out[row, column] = _like(value, out[row, column])
            where[row, column] = pooled_place[column]


@within()
def _gradient_moments(
    gradient: Matrix,
    maps: Matrix,
    height: int,
    pool: int,
    channels: int,
    centre: Matrix,
    out: Matrix,
    where: Any,
) -> tuple[Matrix, Matrix]:
    """Column by column the sums, float64, of the gradient that reaches `maps` and of it times maps - centre."""
    rows, columns = maps.shape
    sums, products = np.zeros(columns), np.zeros(columns)
    block_sums, block_products = np.empty(columns, np.float32), np.empty(columns, np.float32)
    window, across, passed, spread, place = _unpooling(columns, channels, pool)
    for first in range(0, rows, _BLOCK):
        block_sums[:] = 0
        block_products[:] = 0
        for row in range(first, min(first + _BLOCK, rows)):
            _unpool(gradient, row, height, pool, out, where, window, across, passed, spread, place)
            for column in range(columns):
                block_sums[column] += passed[column]
                block_products[column] += passed[column] * (_float(maps[row, column]) - centre[column])
        for column in range(columns):
            sums[column] += block_sums[column]
            products[column] += block_products[column]
    return sums, products


@within()
def _unpooling(columns: int, channels: int, pool: int) -> tuple[Matrix, Matrix, Matrix, Matrix, Matrix]:
    """For each column of maps the column of its window and its place across it, and room for three rows."""
    window, across = np.empty(columns, np.uint32), np.empty(columns, np.int32)
    for column in range(columns):
        x = column // channels
        window[column], across[column] = x // pool * channels + column % channels, x % pool
    return window, across, np.zeros(columns, np.float32), np.zeros(columns, np.float32), np.zeros(columns, np.int32)


@_inlined
def _unpool(
    gradient: Matrix,
    row: int,
    height: int,
    pool: int,
    out: Matrix,
    where: Any,
    window: Matrix,
    across: Matrix,
    passed: Matrix,
    spread: Matrix,
    place: Matrix,
) -> None:
    """Into `passed` what of the gradient reaches a row of maps: what ReLU and dropout let through, at the place of its
    window's maximum. Rows come in order; `spread` and `place` hold what the rows of a window share."""
    if where is None:
        for column in range(len(passed)):
            passed[column] = np.float32(0) if _float(out[row, column]) <= 0 else _float(gradient[row, column])
        return
    pooled_height, columns = height // pool, out.shape[1]
    wide = columns * pool
    if row % height >= pooled_height * pool:
        passed[:] = 0
        return
    below = row % height % pool
    if below == 0:
        pooled_row = row // height * pooled_height + row % height // pool
        for column in range(columns):
            stopped = _float(out[pooled_row, column]) <= 0
            passed[column] = np.float32(0) if stopped else _float(gradient[pooled_row, column])
        _gather(passed, window[:wide], spread)
        _gather(where[pooled_row], window[:wide], place)
        for column in range(wide):
            place[column] -= across[column]
    here = np.int32(below * pool)
    for column in range(wide):
        passed[column] = spread[column] if place[column] == here else np.float32(0)
    passed[wide:] = 0


@_inlined
def _gather(values: Matrix, indices: Matrix, out: Matrix) -> None:
    for index in range(len(indices)):
        out[index] = values[indices[index]]


@njit(inline="always")
def mixed(bits: Any) -> Any:
    """Christopher Wellons's lowbias32: 32 bits in, 32 well mixed bits out, one to one."""
    bits = np.uint32(bits)
    bits ^= bits >> np.uint32(16)
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits ^= bits >> np.uint32(15)
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    bits ^= bits >> np.uint32(16)
    return np.uint32(bits)


@njit(inline="always")
def _lanes(columns: int, keys: Any) -> Any:
    """The random bits of each column."""
    lanes = np.empty(columns, np.uint32)
    if keys is not None:
        for column in range(columns):
            lanes[column] = mixed(np.uint32(column) ^ keys[1])
    return lanes


@njit(inline="always")
def lane_bits(row: int, keys: Any) -> Any:
    """The random bits of a row; a place's are mixed from its row's and its column's."""
    return np.uint32(0) if keys is None else mixed(np.uint32(row) ^ keys[0])


def _float(number: Any) -> Any:
    """A number of a matrix as float32."""


def _like(number: Any, other: Any) -> Any:
    """A float32 as the matrix holds it that `other` is of."""


@overload(_float, inline="always")
def _overload_float(number):
    if isinstance(number, types.Float):
        return lambda number: number
    return lambda number: np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)


@overload(_like, inline="always")
def _overload_like(number, other):  # noqa: ARG001  # numba matches overloads by their parameters
    if isinstance(other, types.Float):
        return lambda number, other: number  # noqa: ARG005  # as above
    return lambda number, other: to_bfloat16(number)  # noqa: ARG005  # as above


@njit(inline="always")
def to_bfloat16(number: Any) -> Any:
    """The upper half of a float32, rounded to the nearest, ties to even, as torch rounds; a not-a-number stays one."""
    bits = np.float32(number).view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = np.uint32(bits + np.uint32(even + np.uint32(0x7FFF)))
    return np.uint16(rounded >> np.uint32(16)) if number == number else np.uint16(0x7FC0)  # noqa: PLR0124
