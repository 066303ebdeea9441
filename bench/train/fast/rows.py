"""Rows of float32. Of numpy's own ways to make and to fill arrays numba compiles ten times as long."""

import numpy as np

from bench.train.fast.kernels import Matrix, within
from bench.train.fast.tiles import LANES, VECTOR, copy_pixel

# Sums over rows are added up in float64 after so many.
BLOCK = 32


@within()
def numbers(count: int, value: float | np.float32) -> Matrix:
    """So many of one number."""
    numbers = np.empty(count, np.float32)
    for i in range(count):
        numbers[i] = value
    return numbers


@within()
def two_rows(count: int) -> Matrix:
    """Two rows of zeros."""
    return numbers(2 * count, 0).reshape(2, count)


@within()
def clear(numbers: Matrix) -> None:
    """Makes them zeros."""
    for i in range(len(numbers)):
        numbers[i] = 0


@within()
def total_of(sums: Matrix, there: int) -> np.float64:
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
def step_pixels(src: Matrix, src_step: int, out: Matrix, out_step: int, count: int) -> None:
    """Copies `count` pixels, each so many after the one before."""
    start, to = src.ctypes.data, out.ctypes.data
    for pixel in range(count):
        copy_pixel(start + pixel * src_step * VECTOR, to + pixel * out_step * VECTOR)
