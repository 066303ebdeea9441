"""Rows of float32. Of numpy's own ways to make and to fill arrays numba compiles ten times as long."""

import numpy as np

from bench.train.fast.kernels import Matrix, within


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
