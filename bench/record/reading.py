"""Reads a CSV file of rows and believes none of it: every field is checked, a wrong one is named with its line."""

import csv
import dataclasses
import io
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import BenchError
from bench.record.plain import PlainColumn, read_plain
from bench.record.schema import FORMULA, FREE_TEXT, LEVELS, RANGES, SCHEMA, Row, TrialRow, columns

_log = logging.getLogger(__name__)

_WAY_OUT = "correct or delete the line, or move the file away to start anew"

# No field that is written comes near it; one that does would fill the memory.
_LONGEST_FIELD = 1_000_000

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII).fullmatch
_FLOAT = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII).fullmatch
_ANY_FLOAT = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?|nan|-?inf", re.ASCII).fullmatch


class StoreError(BenchError):
    """A results file can't be written, or isn't what this version writes."""


class WriteError(StoreError):
    """A results file can't be written now; nothing of the row was left in it."""


def read_rows(path: Path, row_type: type[Row]) -> pd.DataFrame:
    """The file's rows, columns as in `row_type`; numbers that may be missing are floats, NaN their gap.

    A last line without its end is left out with a warning. Raises StoreError, which names the first line that is wrong.
    """
    names = columns(row_type)
    if not path.exists():
        return pd.DataFrame(columns=names)
    if (plain := _read_plain(path, row_type, names)) is not None:
        return plain
    rows, lines = _split(path, names)
    texts = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    try:
        frame = pd.DataFrame(
            {
                field.name: _column(field, row_type, values)
                for field, values in zip(dataclasses.fields(row_type), texts, strict=True)
            }
        )
    except _BadFieldError as error:
        raise StoreError(f"{path}, line {lines[error.row]}: {error}: {_WAY_OUT}") from None
    if row_type is TrialRow:
        _require_one_row_a_trial(path, frame, lines)
    return frame


def check_header(path: Path, header: str, expected: Sequence[str]) -> None:
    """Raises StoreError, with the likeliest reason, unless the first line is the one that this version writes."""
    if header == ",".join(expected):
        return
    found = header.split(",")
    absent = [name for name in expected if name not in found]
    if any(header.count(mark) >= len(expected) - 1 for mark in ";\t|"):
        reason = "has other separators than commas"
    elif absent and len(absent) < len(expected):
        reason = f"has no column {absent[0]}"
    else:
        reason = "has other columns than this version writes"
    raise StoreError(f"{path} {reason}: move it away, or give another --results folder")


class _BadFieldError(Exception):
    """`row` is the index of the row that is wrong."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def _read_plain(path: Path, row_type: type[Row], names: list[str]) -> pd.DataFrame | None:
    """The rows of a file with nothing wrong or unusual in it, ten times as fast; None for any other, which is read
    again field by field to say what is wrong."""
    fields = dataclasses.fields(row_type)

    def otherwise(text: str) -> dict[str, Any]:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if any(len(row) != len(names) for row in rows):
            raise ValueError("a line has more or fewer fields")
        return {
            field.name: _column(field, row_type, values)
            for field, values in zip(fields, zip(*rows, strict=True), strict=True)
        }

    try:
        with path.open("rb") as file:
            check_header(path, file.readline(_LONGEST_FIELD).decode("utf-8").rstrip("\r\n"), names)
        csv.field_size_limit(_LONGEST_FIELD)
        read = read_plain(path, [_plain_column(field, row_type) for field in fields], otherwise)
    except (OSError, ValueError, StoreError, csv.Error, _BadFieldError):
        return None
    if read is None:
        return None
    frame, torn = read
    if not all(_in_range(name, frame[name]) for name in names) or (
        row_type is TrialRow and _has_two_rows_a_trial(frame).any()
    ):
        return None
    if torn:
        _warn_of_half_a_line(path)
    return frame


def _plain_column(field: "dataclasses.Field[Any]", row_type: type[Row]) -> PlainColumn:
    optional = field.type in {str | None, int | None, float | None}
    if field.type in {int, int | None}:
        return PlainColumn(field.name, "int", optional, lambda text: _INTEGER(text) or (optional and not text))
    if field.type in {float, float | None}:
        shape = _float_shape(field.name, row_type)
        return PlainColumn(field.name, "float", optional, lambda text: shape(text) or (optional and not text))
    levels = ("on", "off") if field.type is bool else LEVELS.get(field.name)
    free = field.name in FREE_TEXT

    def fits(text: str) -> bool:
        return (
            (text in levels if levels else optional or bool(text))
            and not (free and text.startswith(FORMULA))
            and len(text) <= _LONGEST_FIELD
        )

    return PlainColumn(field.name, "text", optional, fits)


def _in_range(name: str, values: "pd.Series[Any]") -> bool:
    low, high = RANGES.get(name, (-np.inf, np.inf))
    return not (
        (name in RANGES and ((values < low) | (values > high)).any()) or (name == "schema" and (values != SCHEMA).any())
    )


def _split(path: Path, names: list[str]) -> tuple[list[list[str]], list[int]]:
    """The fields of every whole row, and the line that each row ends in."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    whole, newline, torn = data.rpartition(b"\n")
    if torn:
        _warn_of_half_a_line(path)
    if not newline:
        return [], []
    try:
        text = (whole + newline).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise StoreError(f"{path}, line {line}: it is not UTF-8 text: {_WAY_OUT}") from None
    header, _, _ = text.partition("\n")
    check_header(path, header.rstrip("\r"), names)
    rows, lines = [], []
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        next(reader)
        for row in reader:
            if len(row) != len(names):
                raise StoreError(
                    f"{path}, line {reader.line_num}: it has {len(row)} fields, not {len(names)}: {_WAY_OUT}"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise StoreError(f"{path}, line {reader.line_num}: {error}: {_WAY_OUT}") from None
    return rows, lines


def _column(field: "dataclasses.Field[Any]", row_type: type[Row], values: Sequence[str]) -> "pd.Series[Any]":
    optional = field.type in {str | None, int | None, float | None}
    if field.type is bool:
        _require(field.name, values, {"on", "off"}.__contains__, "neither on nor off")
        return pd.Series(values, dtype=object)
    if field.type in {int, int | None}:
        _require(field.name, values, lambda text: _INTEGER(text) or (optional and not text), "not a whole number")
        return _numbers(field.name, values, "float64" if optional else "int64")
    if field.type in {float, float | None}:
        shape = _float_shape(field.name, row_type)
        _require(field.name, values, lambda text: shape(text) or (optional and not text), "not a number")
        return _numbers(field.name, values, "float64")
    if field.name in LEVELS:
        _require(field.name, values, LEVELS[field.name].__contains__, f"none of {', '.join(LEVELS[field.name])}")
    if not optional:
        _require(field.name, values, bool, "empty")
    if field.name in FREE_TEXT:
        _require(field.name, values, lambda text: not text.startswith(FORMULA), "a spreadsheet formula")
    return pd.Series([text or None for text in values] if optional else values, dtype=object)


def _float_shape(name: str, row_type: type[Row]) -> Callable[[str], object]:
    # An epoch that diverged has a loss that is not finite.
    return _ANY_FLOAT if name.endswith("loss") and row_type is not TrialRow else _FLOAT


def _require(name: str, values: Sequence[str], fits: Callable[[str], object], problem: str) -> None:
    for row, text in enumerate(values):
        if not fits(text):
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise _BadFieldError(row, f"{name} is {problem} ({shown!r})")


def _numbers(name: str, values: Sequence[str], kind: str) -> "pd.Series[Any]":
    if kind == "int64":
        numbers = np.array([int(text) for text in values], dtype=np.int64)
    else:
        numbers = np.array([float(text) if text else np.nan for text in values], dtype=np.float64)
    low, high = RANGES.get(name, (-np.inf, np.inf))
    outside = np.flatnonzero((numbers < low) | (numbers > high))
    if len(outside):
        row = int(outside[0])
        raise _BadFieldError(row, f"{name} is {values[row]}, which lies outside {low:g} to {high:g}")
    if name == "schema" and len(wrong := np.flatnonzero(numbers != SCHEMA)):
        raise _BadFieldError(int(wrong[0]), f"it has schema {values[int(wrong[0])]}, and this version reads {SCHEMA}")
    return pd.Series(numbers)


def _require_one_row_a_trial(path: Path, frame: pd.DataFrame, lines: Sequence[int]) -> None:
    """A trial may have several rows only where all but its last one say that it failed."""
    again = _has_two_rows_a_trial(frame)
    if again.any():
        row = int(np.flatnonzero(again)[0])
        trial = frame["trial"].iloc[row]
        other = int(np.flatnonzero(frame["trial"] == trial)[-1])
        raise StoreError(
            f"{path}, lines {lines[row]} and {lines[other]}: both are of trial {trial}: delete one of them"
        )


def _has_two_rows_a_trial(frame: pd.DataFrame) -> "pd.Series[bool]":
    again: pd.Series[bool] = frame["trial"].duplicated(keep="last") & (frame["status"] != "failed")
    return again


def _warn_of_half_a_line(path: Path) -> None:
    _log.warning("%s ends in half a line, which is not counted", path)
