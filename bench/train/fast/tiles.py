# ruff: noqa: ARG001  # numba matches intrinsics by their parameters
"""The innermost loops of a direct convolution, as LLVM's instructions: what they add up stays in registers.

Maps lie (channels, rows, columns, LANES images): a vector register holds one pixel of LANES images, so that it is full
however few channels there are. A tile is an outer product that is added up: OUTPUTS values of one side times WIDE of
the other, each a register of sums. Written as loops over arrays, sums would be stored and loaded at every step (numba's
arrays may overlap). Every argument is an address or a distance in bytes.

A word is 32 bits of one image: a float32, or a pair of bfloat16, whose products are added up in float32 in one
instruction, AVX512-BF16's.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)


def _features() -> frozenset[str]:
    """What the CPU that numba compiles for can do, as LLVM calls it."""
    asked = os.environ.get("NUMBA_CPU_FEATURES")
    if asked is not None:
        return frozenset(part[1:] for part in asked.split(",") if part.startswith("+"))
    return frozenset(name for name, there in llvmlite.binding.get_host_cpu_features().items() if there)


FEATURES = _features()
# 32 registers of 16 float32, or 16 of 8.
LANES = 16 if "avx512f" in FEATURES else 8
OUTPUTS = 4
WIDE = 6 if "avx512f" in FEATURES else 3
WORD = 4
VECTOR = LANES * WORD

KNOWN = bool({"avx512f"} & FEATURES or {"avx2", "fma"} <= FEATURES)
KNOWN_PAIRS = {"avx512f", "avx512bf16"} <= FEATURES

_Sums = list[ir.Value]


def _correlate_tile(
    typingctx: Any,
    src: Any,
    offsets: Any,
    taps: Any,
    weights: Any,
    bias: Any,
    out: Any,
    plane: Any,
    width: Any,
    word: Any,
) -> Any:
    """OUTPUTS channels of `width` neighbouring pixels: bias plus the sum over taps of weights[tap, channel] times
    src[offsets[tap] + pixel]. `plane` lies between two channels of `out`, float32. `width` is a literal. `word`
    is any number of the type that words have: float32, or uint32 for pairs."""
    signature = types.void(*[types.intp] * 7, width, word)
    count, pairs = width.literal_value, isinstance(word, types.Integer)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]) -> ir.Value:
        src, offsets, taps, weights, bias, out, plane, *_ = arguments
        add_product = _adder(builder, pairs=pairs)
        sums: _Sums = []
        for channel in range(OUTPUTS):
            sums += [spread(builder, _load(builder, bias, channel * WORD, F32))] * count

        def step(tap: ir.Value, sums: _Sums) -> _Sums:
            here = builder.add(src, _load(builder, offsets, builder.mul(tap, _I64(8)), _I64))
            pixels = [_load(builder, here, pixel * VECTOR, vector_of(_I32)) for pixel in range(count)]
            row = builder.add(weights, builder.mul(tap, _I64(OUTPUTS * WORD)))
            factors = [spread(builder, _load(builder, row, channel * WORD, _I32)) for channel in range(OUTPUTS)]
            terms = [(factor, pixel) for factor in factors for pixel in pixels]
            return [add_product(*term, total) for term, total in zip(terms, sums, strict=True)]

        sums = loop(builder, taps, sums, step)
        for number, total in enumerate(sums):
            channel, pixel = divmod(number, count)
            place = builder.add(out, builder.mul(plane, _I64(channel)))
            store(builder, total, place, pixel * VECTOR)
        return context.get_dummy_value()

    return signature, generate


def _moments_tile(
    typingctx: Any,
    gradient: Any,
    gradient_plane: Any,
    gradient_row: Any,
    src: Any,
    offsets: Any,
    src_row: Any,
    rows: Any,
    columns: Any,
    sums: Any,
    word: Any,
) -> Any:
    """Adds to sums[channel, tap], (OUTPUTS, WIDE, LANES) float32, the sum over pixels of gradient[channel, pixel] times
    src[offsets[tap] + pixel]. `word` is as above."""
    signature = types.void(*[types.intp] * 9, word)
    pairs = isinstance(word, types.Integer)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]) -> ir.Value:
        gradient, gradient_plane, gradient_row, src, offsets, src_row, rows, columns, sums, _ = arguments
        add_product = _adder(builder, pairs=pairs)
        taps = [builder.add(src, _load(builder, offsets, tap * 8, _I64)) for tap in range(WIDE)]
        channels = [builder.add(gradient, builder.mul(gradient_plane, _I64(channel))) for channel in range(OUTPUTS)]
        start = [_load(builder, sums, number * VECTOR, vector_of(F32)) for number in range(OUTPUTS * WIDE)]

        def row(number: ir.Value, sums: _Sums) -> _Sums:
            down = builder.mul(number, src_row)
            tap_rows = [builder.add(tap, down) for tap in taps]
            down = builder.mul(number, gradient_row)
            channel_rows = [builder.add(channel, down) for channel in channels]

            def pixel(number: ir.Value, sums: _Sums) -> _Sums:
                along = builder.mul(number, _I64(VECTOR))
                inputs = [_load(builder, tap, along, vector_of(_I32)) for tap in tap_rows]
                outputs = [_load(builder, channel, along, vector_of(_I32)) for channel in channel_rows]
                terms = [(output, value) for output in outputs for value in inputs]
                return [add_product(*term, total) for term, total in zip(terms, sums, strict=True)]

            return loop(builder, columns, sums, pixel)

        for number, total in enumerate(loop(builder, rows, start, row)):
            store(builder, total, sums, number * VECTOR)
        return context.get_dummy_value()

    return signature, generate


def _copy_pixel(typingctx: Any, src: Any, out: Any) -> Any:
    """One pixel of LANES images, from one address to another."""
    signature = types.void(types.intp, types.intp)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]) -> ir.Value:
        src, out = arguments
        store(builder, _load(builder, src, 0, vector_of(_I32)), out, 0)
        return context.get_dummy_value()

    return signature, generate


# Called from compiled code, with the arguments but the first.
correlate_tile: Any = intrinsic(prefer_literal=True)(_correlate_tile)
moments_tile: Any = intrinsic(prefer_literal=True)(_moments_tile)
copy_pixel: Any = intrinsic(_copy_pixel)


def _adder(builder: ir.IRBuilder, *, pairs: bool) -> Callable[[ir.Value, ir.Value, ir.Value], ir.Value]:
    """What adds the product of two vectors of words to a vector of float32."""
    sums = vector_of(F32)
    name, factor = f"llvm.fma.v{LANES}f32", sums
    if pairs:
        name, factor = "llvm.x86.avx512bf16.dpbf16ps.512", ir.VectorType(_BFloat(), 2 * LANES)
    known = builder.module.globals.get(name)
    order = [sums, factor, factor] if pairs else [factor, factor, sums]
    function = known or ir.Function(builder.module, ir.FunctionType(sums, order), name)

    def add_product(left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
        factors = [builder.bitcast(left, factor), builder.bitcast(right, factor)]
        return builder.call(function, [total, *factors] if pairs else [*factors, total])

    return add_product


class _BFloat(ir.Type):  # type: ignore[misc]  # llvmlite carries no types
    """LLVM's bfloat, which llvmlite has no word for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


def loop(builder: ir.IRBuilder, count: ir.Value, start: _Sums, step: Callable[[ir.Value, _Sums], _Sums]) -> _Sums:
    """`step` `count` times, at least once, from `start` on; the sums in the end."""
    before = builder.block
    body, after = builder.function.append_basic_block("tile"), builder.function.append_basic_block("tile.end")
    builder.branch(body)
    builder.position_at_end(body)
    number = builder.phi(_I64)
    number.add_incoming(_I64(0), before)
    sums = [builder.phi(total.type) for total in start]
    for total, first in zip(sums, start, strict=True):
        total.add_incoming(first, before)
    results = step(number, list(sums))
    following = builder.add(number, _I64(1))
    number.add_incoming(following, builder.block)
    for total, result in zip(sums, results, strict=True):
        total.add_incoming(result, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), body, after)
    builder.position_at_end(after)
    return results


def _load(builder: ir.IRBuilder, address: ir.Value, offset: ir.Value | int, kind: ir.Type) -> ir.Value:
    return builder.load(_place(builder, address, offset, kind), align=WORD)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int) -> None:
    """Puts a value so many bytes after an address."""
    builder.store(value, _place(builder, address, offset, value.type), align=WORD)


def _place(builder: ir.IRBuilder, address: ir.Value, offset: ir.Value | int, kind: ir.Type) -> ir.Value:
    distance = _I64(offset) if isinstance(offset, int) else offset
    return builder.inttoptr(builder.add(address, distance), kind.as_pointer())


def spread(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A vector of one value."""
    vector = vector_of(value.type)
    alone = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _I32(0))
    return builder.shuffle_vector(alone, ir.Constant(vector, ir.Undefined), vector_of(_I32)([0] * LANES))


def vector_of(kind: ir.Type) -> ir.VectorType:
    """The type of LANES values of a kind."""
    return ir.VectorType(kind, LANES)
