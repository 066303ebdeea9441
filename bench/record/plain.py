"""Reads rows as the harness writes them, column by column: what has anything unusual about it is left to `reading`.

Whatever is read here is what `reading` would have read, and nothing is that it would have refused: fields are checked
byte by byte, a megabyte at a time, and the few that are odd (an exponent, a loss that is not finite) one by one.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_CHUNK = 1_000_000

# What a field's bytes add up to: how many are no part of a plain number, points, minus signs. A number is far shorter
# than where one sum would run into the next.
_FOREIGN, _POINT, _MINUS, _MASK = 1, 1 << 20, 1 << 40, (1 << 20) - 1
_WEIGHTS = np.full(256, _FOREIGN, dtype=np.int64)
_WEIGHTS[list(b"0123456789")] = 0
_WEIGHTS[ord(".")] = _POINT
_WEIGHTS[ord("-")] = _MINUS

_MOST_DIGITS = 18  # of a whole number
_MOST_DIGITS_OF_A_FLOAT = 300


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """What a column's fields are: `kind` is text, int or float. `fits` judges a text, or a number that isn't plain."""

    name: str
    kind: str
    optional: bool
    fits: Callable[[str], object]


class _NotPlainError(Exception):
    """A chunk has something about it that the quick way doesn't read."""


def read_plain(
    path: Path, columns: Sequence[PlainColumn], otherwise: Callable[[str], dict[str, Any]]
) -> tuple[pd.DataFrame, bool] | None:
    """The file's rows and whether it ends in half a line, which is left out; None where the file isn't plain.

    Text stands as objects, None for an empty optional one; a number that may be missing is a float, NaN its gap. The
    first line is not looked at. `otherwise` reads a chunk's text into columns where its fields are quoted or not
    ASCII; it may raise ValueError.
    """
    torn = False
    parts: list[dict[str, Any]] = []
    with path.open("rb") as file:
        file.readline()
        for chunk in _chunks(file):
            whole, newline, rest = chunk.rpartition(b"\n")
            torn = bool(rest)
            try:
                if newline:
                    parts.append(_columns(whole + newline, columns, otherwise))
            except (_NotPlainError, ValueError):
                return None
    if not parts:
        return None
    whole_columns = {c.name: np.concatenate([part.pop(c.name) for part in parts]) for c in columns}
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in whole_columns.items()}), torn


def _chunks(file: io.BufferedReader) -> Iterator[bytes]:
    """Whole lines, and at the end what may be half of one."""
    while chunk := file.read(_CHUNK):
        yield chunk + file.readline()


def _columns(
    chunk: bytes, columns: Sequence[PlainColumn], otherwise: Callable[[str], dict[str, Any]]
) -> dict[str, NDArray[Any]]:
    if b'"' in chunk or b"\r" in chunk or b"\0" in chunk or not chunk.isascii():
        return {name: np.asarray(values) for name, values in otherwise(chunk.decode()).items()}
    starts, ends = _fields(np.frombuffer(chunk, dtype=np.uint8), len(columns))
    _require_numbers(chunk, columns, starts, ends)
    fields = chunk.decode().replace("\n", ",").split(",")
    return {column.name: _column(column, fields[place : -1 : len(columns)]) for place, column in enumerate(columns)}


def _fields(codes: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where fields begin and end, (rows, count). Raises _NotPlainError unless every line has `count` of them."""
    ends = np.flatnonzero((codes == ord(",")) | (codes == ord("\n")))
    lines = np.count_nonzero(codes == ord("\n"))
    if len(ends) != lines * count or not (codes[ends[count - 1 :: count]] == ord("\n")).all():
        raise _NotPlainError
    starts = np.concatenate([[0], ends[:-1] + 1])
    return starts.reshape(lines, count), ends.reshape(lines, count)


def _require_numbers(
    chunk: bytes, columns: Sequence[PlainColumn], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> None:
    """Raises _NotPlainError for a number that isn't one."""
    codes = np.frombuffer(chunk, dtype=np.uint8)
    sums = np.concatenate([[0], np.cumsum(_WEIGHTS[codes])])
    weights = sums[ends] - sums[starts]
    foreign, points, minus = weights & _MASK, (weights >> 20) & _MASK, weights >> 40
    digits = ends - starts - minus - points
    whole = np.array([column.kind == "int" for column in columns])
    plain = (foreign == 0) & (digits > 0) & (minus <= (codes[starts] == ord("-")))
    plain &= (points <= ~whole) & (digits <= np.where(whole, _MOST_DIGITS, _MOST_DIGITS_OF_A_FLOAT))
    plain |= np.array([column.kind == "text" for column in columns])
    plain |= np.array([column.optional for column in columns]) & (starts == ends)
    for row, place in zip(*np.nonzero(~plain), strict=True):
        if not columns[place].fits(chunk[starts[row, place] : ends[row, place]].decode()):
            raise _NotPlainError


def _column(column: PlainColumn, texts: list[str]) -> NDArray[Any]:
    if column.kind != "text":
        if not column.optional:
            parse = int if column.kind == "int" else float
            return np.fromiter(map(parse, texts), dtype=f"{column.kind}64", count=len(texts))
        if not any(texts):
            return np.full(len(texts), np.nan)
        if all(texts):
            return np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        return np.array([float(text or "nan") for text in texts])
    different = set(texts)  # each is judged once, and kept once
    if not all(map(column.fits, different)):
        raise _NotPlainError
    kept = {text: text or None if column.optional else text for text in different}
    values = np.empty(len(texts), dtype=object)
    values[:] = [kept[text] for text in texts]
    return values
