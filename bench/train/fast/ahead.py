"""The kernels of `direct`, compiled before anything calls them. Imports no torch."""

from collections.abc import Mapping
from typing import Any

from numba import types

from bench.train.fast import direct

KERNELS: Mapping[str, Any] = {"forward": direct.forward, "backward": direct.backward}


def compile_kernel(name: str, *, pairs: bool) -> None:
    """Compiles one of KERNELS for float32 or for pairs of bfloat16, or loads it, and keeps it on the disk."""
    KERNELS[name].compile(arguments_of(name, pairs=pairs))


def arguments_of(name: str, *, pairs: bool) -> tuple[Any, ...]:
    """The types that a chain calls the kernel with."""
    words, count, truth = types.uint32 if pairs else types.float32, types.int64, types.boolean
    floats = [types.Array(types.float32, dimensions, "C") for dimensions in range(6)]
    maps, packed = types.Array(words, 4, "C"), types.Array(words, 3, "C")
    statistics, where = types.Array(types.float64, 2, "C"), types.Array(types.uint8, 4, "C")
    after = (floats[4], statistics, truth, count, where, maps, count, floats[1])
    if name == "forward":
        drops = (types.float32, types.uint32, types.Array(types.uint32, 1, "C"))
        norm = (floats[1], floats[1], floats[1], types.float64, types.float64, truth)
        return (count, truth, maps, floats[4], floats[1], packed, *after, *norm, *drops)
    room = (maps, count, packed, packed, floats[5])
    found = (floats[4], floats[4], floats[1], floats[1], floats[1])
    return (count, truth, floats[4], maps, floats[4], packed, *after, *room, *found, types.float32, truth)
