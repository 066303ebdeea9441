"""What the cores of this machine can do at most: multiply and add, and move memory. Both are measured."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bench.run.together import wait_for_the_others
from bench.train.fast.tiles import F32, LANES, loop, spread, store, vector_of

# Enough of them that none waits for the one before, few enough for the registers of any CPU.
_SUMS = 12
_STEPS = 1_000_000
_SECONDS = 0.25

# Of each of two arrays; larger than the caches of a core.
_COPIED_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Peak:
    """What was measured of one core, or of several that were busy at once: fp32 operations a second, where a
    multiply-add is two, and bytes a second that a copy reads and writes (McCalpin's STREAM, `copy`)."""

    flops: float
    copied: float


def measure_peak() -> Peak:
    """Of this process's core. Called in several processes, each begins when all are ready; their sum is what so many
    cores can do at once."""
    out, source = np.zeros(_SUMS * LANES, np.float32), np.ones(_COPIED_BYTES // 4, np.float32)
    target = np.zeros_like(source)
    _multiply_and_add(1, out)  # compiles
    wait_for_the_others()
    flops = 2 * _SUMS * LANES * _STEPS * _calls_a_second(lambda: _multiply_and_add(_STEPS, out))
    wait_for_the_others()
    copied = 2 * _COPIED_BYTES * _calls_a_second(lambda: np.copyto(target, source))
    return Peak(flops, copied)


def sum_of(peaks: Sequence[Peak]) -> Peak:
    """Of cores that were busy at once."""
    return Peak(sum(peak.flops for peak in peaks), sum(peak.copied for peak in peaks))


def _calls_a_second(call: Callable[[], object]) -> float:
    start, calls = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < _SECONDS:
        call()
        calls += 1
    return calls / seconds


def _fill_registers(typingctx: Any, steps: Any, out: Any) -> Any:  # noqa: ARG001  # numba matches by parameters
    """Vectors of sums that stay in registers: in each step every one is multiplied and added to."""
    signature = types.void(types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001  # as above
        steps, out = arguments
        vector = vector_of(F32)
        function = ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32")
        factor, addend = (spread(builder, F32(value)) for value in (0.5, 1.0))
        start = [spread(builder, F32(number)) for number in range(_SUMS)]

        def step(_: Any, sums: Any) -> Any:
            return [builder.call(function, [total, factor, addend]) for total in sums]

        for number, total in enumerate(loop(builder, steps, start, step)):
            store(builder, total, out, number * LANES * 4)
        return context.get_dummy_value()

    return signature, generate


# Called from compiled code, with the arguments but the first.
_filled: Any = intrinsic(_fill_registers)


@njit
def _multiply_and_add(steps: int, out: Any) -> None:
    _filled(steps, out.ctypes.data)
