"""Loops over maps in one pass through memory, compiled by numba: what torch does in five calls for a small network.

Every matrix is a view of maps laid out channels last, (N H, W C): a row holds a row of pixels, and what belongs to a
channel (a factor, an offset) is repeated along it. That fills vector registers however few channels there are. A matrix
holds float32, or bfloat16 as uint16; arithmetic is in float32, and sums over a block of rows are added up in float64.
"""

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

Matrix = np.ndarray[Any, np.dtype[Any]]

_BLOCK = 32


def _compiled(function: Any) -> Any:
    """Compiles on the first call, and keeps the result on the disk where there is a place for it.

    Sums may be reordered to fill vector registers; not-a-numbers and infinities stay what they are.
    """
    compiler = partial(njit, fastmath={"reassoc", "contract", "nsz", "arcp"}, error_model="numpy")
    try:
        return compiler(cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return compiler()(function)


@_compiled
def moments(maps: Matrix, shift: Matrix, sums: Matrix, squares: Matrix) -> None:
    """Column by column the sums, float64, of maps - shift and of its square."""
    rows, columns = maps.shape
    block_sums, block_squares = np.empty(columns, np.float32), np.empty(columns, np.float32)
    sums[:] = 0
    squares[:] = 0
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


@_compiled
def norm_relu(maps: Matrix, factor: Matrix, offset: Matrix, out: Matrix) -> None:
    """ReLU of factor x maps + offset."""
    rows, columns = maps.shape
    for row in range(rows):
        for column in range(columns):
            value = _float(maps[row, column]) * factor[column] + offset[column]
            out[row, column] = _like(np.float32(0) if value <= 0 else value, out[row, column])


@_compiled
def norm_relu_dropout(
    maps: Matrix, factor: Matrix, offset: Matrix, threshold: np.uint32, keys: Matrix, out: Matrix
) -> None:
    """The same with dropout: 0 where the random 32 bits of a place lie below `threshold`."""
    rows, columns = maps.shape
    lanes = _lanes(columns, keys[1])
    for row in range(rows):
        lane = _mix(np.uint32(row) ^ keys[0])
        for column in range(columns):
            value = _float(maps[row, column]) * factor[column] + offset[column]
            kept = _mix(lane ^ lanes[column]) >= threshold
            out[row, column] = _like(np.float32(0) if value <= 0 or not kept else value, out[row, column])


@_compiled
def dropout(maps: Matrix, factor: np.float32, threshold: np.uint32, keys: Matrix, out: Matrix) -> None:
    """factor x maps, and 0 where the random 32 bits of a place lie below `threshold`."""
    rows, columns = maps.shape
    lanes = _lanes(columns, keys[1])
    for row in range(rows):
        lane = _mix(np.uint32(row) ^ keys[0])
        for column in range(columns):
            kept = _mix(lane ^ lanes[column]) >= threshold
            value = _float(maps[row, column]) * factor
            out[row, column] = _like(value if kept else np.float32(0), out[row, column])


@_compiled
def gradient_moments(
    gradient: Matrix, maps: Matrix, out: Matrix, centre: Matrix, sums: Matrix, products: Matrix
) -> None:
    """Column by column the sums, float64, of the gradient where `out` is above 0, and of it times maps - centre."""
    rows, columns = maps.shape
    block_sums, block_products = np.empty(columns, np.float32), np.empty(columns, np.float32)
    sums[:] = 0
    products[:] = 0
    for first in range(0, rows, _BLOCK):
        block_sums[:] = 0
        block_products[:] = 0
        for row in range(first, min(first + _BLOCK, rows)):
            for column in range(columns):
                value = _float(gradient[row, column]) if _float(out[row, column]) > 0 else np.float32(0)
                block_sums[column] += value
                block_products[column] += value * (_float(maps[row, column]) - centre[column])
        for column in range(columns):
            sums[column] += block_sums[column]
            products[column] += block_products[column]


@_compiled
def input_gradient(
    gradient: Matrix, maps: Matrix, out: Matrix, on_gradient: Matrix, on_maps: Matrix, offset: Matrix, result: Matrix
) -> None:
    """on_gradient x gradient, where `out` is above 0, + on_maps x maps + offset."""
    rows, columns = maps.shape
    for row in range(rows):
        for column in range(columns):
            passed = _float(gradient[row, column]) if _float(out[row, column]) > 0 else np.float32(0)
            value = on_gradient[column] * passed + on_maps[column] * _float(maps[row, column]) + offset[column]
            result[row, column] = _like(value, result[row, column])


@njit(inline="always")
def _mix(bits: Any) -> Any:
    """Christopher Wellons's lowbias32: 32 bits in, 32 well mixed bits out, one to one."""
    bits = np.uint32(bits)
    bits ^= bits >> np.uint32(16)
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits ^= bits >> np.uint32(15)
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    bits ^= bits >> np.uint32(16)
    return np.uint32(bits)


@njit(inline="always")
def _lanes(columns: int, key: Any) -> Any:
    lanes = np.empty(columns, np.uint32)
    for column in range(columns):
        lanes[column] = _mix(np.uint32(column) ^ key)
    return lanes


def _float(number: Any) -> Any:
    """A number of a matrix as float32."""


def _like(number: Any, other: Any) -> Any:
    """A float32 as the matrix holds it that `other` is of."""


@overload(_float, inline="always")
def _overload_float(number):
    if isinstance(number, types.Float):
        return lambda number: number
    return lambda number: _from_bfloat16(number)  # noqa: PLW0108  # numba compiles the lambda


@overload(_like, inline="always")
def _overload_like(number, other):  # noqa: ARG001  # numba matches overloads by their parameters
    if isinstance(other, types.Float):
        return lambda number, other: number  # noqa: ARG005  # as above
    return lambda number, other: _to_bfloat16(number)  # noqa: ARG005  # as above


@intrinsic
def _from_bfloat16(_context: Any, _number: Any) -> Any:
    """bfloat16 is the upper half of a float32."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.zext(arguments[0], ir.IntType(32))
        return builder.bitcast(builder.shl(bits, ir.Constant(ir.IntType(32), 16)), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def _to_bfloat16(_context: Any, _number: Any) -> Any:
    """To the nearest, ties to even, as torch rounds; a not-a-number stays one."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole, half = ir.IntType(32), ir.IntType(16)
        bits = builder.bitcast(arguments[0], whole)
        even = builder.and_(builder.lshr(bits, ir.Constant(whole, 16)), ir.Constant(whole, 1))
        rounded = builder.add(bits, builder.add(even, ir.Constant(whole, 0x7FFF)))
        number = builder.trunc(builder.lshr(rounded, ir.Constant(whole, 16)), half)
        is_nan = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        return builder.select(is_nan, ir.Constant(half, 0x7FC0), number)

    return types.uint16(types.float32), generate
