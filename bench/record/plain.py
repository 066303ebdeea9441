"""Reads rows as the harness writes them, a few megabytes at a time, with pandas' parser: it reads 250 MB/s.

Whatever is read here is what `reading` would have read, and nothing is that it would have refused. The parser overlooks
spaces, signs and fields that are too few: a piece of a file with such is read field by field, and so is one with
quotes. Of numbers only fractions are the parser's, which rounds them as Python does; of whatever else a column holds,
each text that occurs is judged once.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_CHUNK = 4_000_000

# What a field may begin with that the parser takes for a number: signs, spaces, and true and false.
_OVERLOOKED = np.frombuffer(b"+ TtFf", dtype=np.uint8)

# Before 3.1 pandas rounded the last digit anyhow, unless asked not to; since then it warns of who asks.
_ROUNDED: Mapping[str, Any] = (
    {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
)


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column whose values are of `dtype`. `value` is what a text stands for, and raises ValueError for one that is
    wrong; without it the column holds fractions, and `gaps` are the texts that stand for NaN."""

    name: str
    dtype: str
    value: Callable[[str], object] | None = None
    gaps: tuple[str, ...] = ()


def read_plain(
    path: Path, columns: Sequence[PlainColumn], otherwise: Callable[[str], Mapping[str, Any]]
) -> tuple[pd.DataFrame, bool] | None:
    """The file's rows and whether it ends in half a line, which is left out; None where a field is wrong.

    The first line is not looked at. `otherwise` reads a text that isn't plain into columns; it may raise ValueError.
    """
    torn = False
    parts: list[dict[str, NDArray[Any]]] = []
    with path.open("rb") as file:
        file.readline()
        for chunk in _chunks(file):
            whole, newline, rest = chunk.rpartition(b"\n")
            torn = bool(rest)
            if not newline:
                continue
            try:
                parts.append(_columns(whole + newline, columns))
            except (ValueError, OverflowError):
                try:
                    read = otherwise((whole + newline).decode())
                except ValueError:
                    return None
                parts.append({name: np.asarray(values) for name, values in read.items()})
    if not parts:
        return None
    whole_columns = {c.name: np.concatenate([part.pop(c.name) for part in parts]) for c in columns}
    series = {name: pd.Series(values, dtype=values.dtype, copy=False) for name, values in whole_columns.items()}
    return pd.DataFrame(series, copy=False), torn


def _chunks(file: io.BufferedReader) -> Iterator[bytes]:
    """Whole lines, and at the end what may be half of one."""
    while chunk := file.read(_CHUNK):
        yield chunk + file.readline()


def _columns(chunk: bytes, columns: Sequence[PlainColumn]) -> dict[str, NDArray[Any]]:
    """Raises ValueError for a chunk that isn't plain."""
    _require_plain(chunk, columns)
    frame = pd.read_csv(
        io.BytesIO(chunk),
        names=[column.name for column in columns],
        dtype={column.name: object if column.value else column.dtype for column in columns},
        na_values={column.name: list(column.gaps) for column in columns},
        keep_default_na=False,
        skip_blank_lines=False,
        quoting=csv.QUOTE_NONE,
        engine="c",
        **_ROUNDED,
    )
    return {column.name: _values(column, frame[column.name].to_numpy()) for column in columns}


def _require_plain(chunk: bytes, columns: Sequence[PlainColumn]) -> None:
    """Raises ValueError unless every line has all fields and no fraction has what the parser overlooks."""
    codes = np.frombuffer(chunk, dtype=np.uint8)
    separators = np.flatnonzero((codes == ord(",")) | (codes == ord("\n")))
    lines = np.count_nonzero(codes < ord(" "))  # without control characters but for the ends of lines
    if b'"' in chunk or not chunk.isascii() or len(separators) != lines * len(columns):
        raise ValueError("quotes, other characters, or a line with more or fewer fields")
    ends = separators.reshape(lines, len(columns))
    if (codes[ends[:, -1]] != ord("\n")).any():
        raise ValueError("a line with more or fewer fields")
    starts = np.append(0, separators[:-1] + 1).reshape(ends.shape)
    for place in (place for place, column in enumerate(columns) if column.value is None):
        first, last = codes[starts[:, place]], codes[ends[:, place] - 1]
        if (np.isin(first, _OVERLOOKED) | (last == ord(" "))).any():
            raise ValueError("a number with a sign or with spaces around it, or a truth value")


def _values(column: PlainColumn, read: NDArray[Any]) -> NDArray[Any]:
    if column.value is None:
        if np.isinf(read).any():  # the parser knows many words for it
            raise ValueError("infinity")
        return read
    values = {text: column.value(text) for text in set(read)}
    if all(value is text for text, value in values.items()):
        return read
    return np.array([values[text] for text in read], dtype=column.dtype)
