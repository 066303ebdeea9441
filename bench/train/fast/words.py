# ruff: noqa: ARG001, ARG005  # numba matches overloads by their parameters
"""Words of one image, 32 bits: a float32, or two bfloat16 as the halves of a uint32, the lower half first."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from bench.train.fast.kernels import Matrix, to_bfloat16


def channels_apiece(words: Matrix) -> int:  # type: ignore[empty-body]
    """How many channels a word of the array holds."""


def to_word(low: Any, high: Any, like: Any) -> Any:
    """A word of the type of `like`; of float32 `low` alone."""


def to_float(word: Any, half: int) -> Any:
    """The lower (0) or upper (1) half of a word; all of a float32."""


def is_positive(word: Any, half: int) -> Any:
    """Whether `to_float` is above 0 or not a number."""


def pack_rows(lines: Matrix, out: Matrix) -> None:
    """The two rows of float32 into the words at the beginning of `out`; of float32 the first row alone."""


def pair_images(words: Matrix, block: int, out: Matrix) -> None:
    """Words of two blocks, pairs of channels of an image, into pairs of images of a channel: `out` has twice the
    channels of one block."""


@overload(channels_apiece)
def _channels_apiece(words):
    if isinstance(words.dtype, types.Float):
        return lambda words: 1
    return lambda words: 2


@overload(to_word)
def _to_word(low, high, like):
    if isinstance(like, types.Float):
        return lambda low, high, like: low
    return lambda low, high, like: _pair(low, high)


@overload(to_float)
def _to_float(word, half):
    if isinstance(word, types.Float):
        return lambda word, half: word
    return lambda word, half: _half(word, half)  # noqa: PLW0108  # compiled with it


@overload(is_positive)
def _is_positive(word, half):
    if isinstance(word, types.Float):
        return lambda word, half: not word <= 0
    return lambda word, half: not _half(word, half) <= 0


@overload(pack_rows)
def _pack_rows(lines, out):
    if isinstance(out.dtype, types.Float):

        def alone(lines, out):
            for i in range(lines.shape[1]):
                out[i] = lines[0, i]

        return alone

    def pairs(lines, out):
        for i in range(lines.shape[1]):
            out[i] = _pair(lines[0, i], lines[1, i])

    return pairs


@overload(pair_images)
def _pair_images(words, block, out):
    if isinstance(words.dtype, types.Float):
        return lambda words, block, out: None

    def pairs(words, block, out):
        for channel in range(words.shape[1]):
            for y in range(words.shape[2]):
                first, second = words[block, channel, y], words[block + 1, channel, y]
                low, high = out[2 * channel, y], out[2 * channel + 1, y]
                for i in range(len(first)):
                    low[i] = (first[i] & np.uint32(0xFFFF)) | (second[i] << np.uint32(16))
                    high[i] = (first[i] >> np.uint32(16)) | (second[i] & np.uint32(0xFFFF0000))

    return pairs


@njit(forceinline=True)
def _pair(low: Any, high: Any) -> Any:
    return np.uint32(to_bfloat16(low)) | np.uint32(np.uint32(to_bfloat16(high)) << np.uint32(16))


@njit(forceinline=True)
def _half(word: Any, half: int) -> Any:
    bits = np.uint32(np.uint32(word >> np.uint32(16 * half)) << np.uint32(16))
    return bits.view(np.float32)
