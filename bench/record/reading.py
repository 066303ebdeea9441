"""Reads a CSV file of rows and believes none of it: every field is checked, a wrong one is named with its line."""

import csv
import dataclasses
import io
import logging
import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import BenchError
from bench.plan.catalogue import catalogue
from bench.record.columns import FORMULA, FREE_TEXT, LEVELS, PATTERNS, RANGES, columns, off_of, since_2
from bench.record.plain import PlainColumn, read_plain
from bench.record.schema import SCHEMA, Row, TimingRow, TrialRow
from bench.record.schema1 import from_schema_1

_log = logging.getLogger(__name__)

_WAY_OUT = "correct or delete the line"

# No field that is written comes near it; one that does would fill the memory.
_LONGEST_FIELD = 1_000_000

_FACTOR = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII).fullmatch
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII).fullmatch
_DECIMAL = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII).fullmatch


class StoreError(BenchError):
    """A results file can't be written, or isn't what this version writes."""


class WriteError(StoreError):
    """A results file can't be written now; nothing of the row was left in it."""


def read_rows(path: Path, row_type: type[Row]) -> pd.DataFrame:
    """The file's rows, columns as in `row_type`; numbers that may be missing are floats, NaN their gap.

    A factor that a row has no level of reads as its `off`. Trials of schema 1 read as `schema1` says. A last line
    without its end is left out with a warning. Raises StoreError, which names the first line that is wrong.
    """
    if not path.exists():
        return pd.DataFrame(columns=columns(row_type))
    if (plain := _read_plain(path, row_type)) is not None:
        return plain
    names, rows, lines = _split(path, row_type)
    texts = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
    fields = {field.name: field for field in dataclasses.fields(row_type)}
    try:
        frame = pd.DataFrame(
            {
                name: _column(fields[name], row_type, values) if name in fields else _level_column(name, values)
                for name, values in texts.items()
            }
        )
        frame = _with_every_column(frame, row_type)
        if row_type is TrialRow:
            _require_key_parts(frame)
    except _BadFieldError as error:
        raise StoreError(f"{path}, line {lines[error.row]}: {error}: {_WAY_OUT}") from None
    if row_type is TrialRow:
        frame = from_schema_1(frame)
        _require_one_row_a_trial(path, frame, lines)
    return frame


def checked_header(path: Path, header: str, row_type: type[Row]) -> list[str]:
    """The columns that a file's first line names. Raises StoreError, with the likeliest reason, for one that such rows
    can't have."""
    found = header.split(",")
    fixed = [name for name in columns(row_type, ()) if name not in since_2(row_type)]
    absent = [name for name in fixed if name not in found]
    strangers = [name for name in found if name not in columns(row_type, ())]
    takes_strangers = "levels" in {field.name for field in dataclasses.fields(row_type)}
    if not absent and not (strangers and not takes_strangers):
        if len(set(found)) == len(found) and all(map(_FACTOR, strangers)):
            return found
        reason = "has a column twice" if len(set(found)) < len(found) else "has other columns than this version writes"
    elif any(header.count(mark) >= len(fixed) - 1 for mark in ";\t|"):
        reason = "has other separators than commas"
    elif absent and len(absent) < len(fixed):
        reason = f"has no column {absent[0]}"
    else:
        reason = "has other columns than this version writes"
    raise StoreError(f"{path} {reason}: correct its first line, or give another --results folder")


class _BadFieldError(Exception):
    """`row` is the index of the row that is wrong."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def _read_plain(path: Path, row_type: type[Row]) -> pd.DataFrame | None:
    """The rows of a file with nothing wrong or unusual in it, ten times as fast; None for any other, which is read
    again field by field to say what is wrong."""
    fields = {field.name: field for field in dataclasses.fields(row_type)}

    def otherwise(text: str) -> dict[str, Any]:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if any(len(row) != len(names) for row in rows):
            raise ValueError("a line has more or fewer fields")
        return {
            name: _column(fields[name], row_type, values) if name in fields else [text or None for text in values]
            for name, values in zip(names, zip(*rows, strict=True), strict=True)
        }

    try:
        with path.open("rb") as file:
            names = checked_header(path, file.readline(_LONGEST_FIELD).decode("utf-8").rstrip("\r\n"), row_type)
        csv.field_size_limit(_LONGEST_FIELD)
        plain = [_plain_column(fields[n], row_type) if n in fields else _plain_level(n) for n in names]
        read = read_plain(path, plain, otherwise)
        if read is None:
            return None
        frame, torn = read
        for name in names:
            if name not in fields:
                places, different = pd.factorize(frame[name].fillna(""))
                levels = _level_column(name, list(different)).to_numpy()
                frame[name] = pd.Series(levels[places], dtype=object)
        frame = _with_every_column(frame, row_type)
        if row_type is TrialRow:
            _require_key_parts(frame)
            if _has_two_rows_a_trial(frame).any():
                return None
    except (OSError, ValueError, StoreError, csv.Error, _BadFieldError):
        return None
    if not all(_in_range(name, frame[name]) for name in names):
        return None
    if torn:
        _warn_of_half_a_line(path)
    return from_schema_1(frame) if row_type is TrialRow else frame


def _plain_column(field: "dataclasses.Field[Any]", row_type: type[Row]) -> PlainColumn:
    optional = _is_optional(field, row_type)
    if field.type in {int, int | None}:
        return PlainColumn(field.name, "float64" if optional else "int64", partial(_plain_whole, optional))
    if field.type in {float, float | None}:
        shape = _float_shape(field.name, row_type)
        gaps = [text for text, stands in (("", optional), ("nan", shape("nan"))) if stands]
        return PlainColumn(field.name, "float64", gaps=tuple(gaps))
    levels, free = LEVELS.get(field.name), field.name in FREE_TEXT
    return PlainColumn(field.name, "object", partial(_plain_text, optional, levels, free, _looks_right(field.name)))


def _plain_whole(optional: bool, text: str) -> float:
    if optional and not text:
        return math.nan
    if not _INTEGER(text):
        raise ValueError("not a whole number")
    return float(text) if optional else int(text)


def _plain_text(
    optional: bool, levels: Sequence[str] | None, free: bool, looks_right: Callable[[str], bool], text: str
) -> str | None:
    fits = text in levels if levels else (looks_right(text) if text else optional)
    if not fits or (free and text.startswith(FORMULA)) or len(text) > _LONGEST_FIELD:
        raise ValueError("a text that can't be")
    return text or None if optional else text


def _plain_level(name: str) -> PlainColumn:
    return PlainColumn(name, "object", partial(_plain_text, True, None, False, _looks_right(name)))


def _in_range(name: str, values: "pd.Series[Any]") -> bool:
    low, high = RANGES.get(name, (-np.inf, np.inf))
    if name == "schema":
        low, high = 1, SCHEMA
    elif name not in RANGES:
        return True
    return not ((values < low) | (values > high)).any()


def _split(path: Path, row_type: type[Row]) -> tuple[list[str], list[list[str]], list[int]]:
    """The columns, the fields of every whole row, and the line that each row ends in."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    whole, newline, torn = data.rpartition(b"\n")
    if torn:
        _warn_of_half_a_line(path)
    if not newline:
        return columns(row_type), [], []
    try:
        text = (whole + newline).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise StoreError(f"{path}, line {line}: it is not UTF-8 text: {_WAY_OUT}") from None
    header, _, _ = text.partition("\n")
    names = checked_header(path, header.rstrip("\r"), row_type)
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
    return names, rows, lines


def _column(field: "dataclasses.Field[Any]", row_type: type[Row], values: Sequence[str]) -> "pd.Series[Any]":
    optional = _is_optional(field, row_type)
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
    if field.name in PATTERNS:
        looks_right = _looks_right(field.name)
        problem = f"not as this version writes it, {PATTERNS[field.name][0]}"
        _require(field.name, values, lambda text: not text or looks_right(text), problem)
    if field.name in FREE_TEXT:
        _require(field.name, values, lambda text: not text.startswith(FORMULA), "a spreadsheet formula")
    return pd.Series([text or None for text in values] if optional else values, dtype=object)


def _level_column(name: str, values: Sequence[str]) -> "pd.Series[Any]":
    """A factor's levels, None where a row has none. Levels that all are numbers are numbers."""
    factor = catalogue().by_column.get(name)
    kinds = {type(level) for level in factor.levels} if factor else set()
    if kinds == {bool}:
        _require(name, values, {"on", "off", ""}.__contains__, "neither on nor off")
    elif kinds and kinds <= {int, float}:
        _require(name, values, lambda text: _is_float(text) or not text, "not a number")
    _require(name, values, lambda text: not text.startswith(FORMULA) or _is_float(text), "a spreadsheet formula")
    if str not in kinds and any(values) and all(_is_float(text) for text in values if text):
        return pd.Series([float(text) if text else None for text in values], dtype=object)
    return pd.Series([text or None for text in values], dtype=object)


def _is_optional(field: "dataclasses.Field[Any]", row_type: type[Row]) -> bool:
    return field.type in {str | None, int | None, float | None} or field.name in since_2(row_type)


def _looks_right(name: str) -> Callable[[str], bool]:
    """Whether a text looks as what is written into the column does; a time is one that there is."""
    if name not in PATTERNS:
        return lambda _: True
    example, pattern = PATTERNS[name]
    matches = re.compile(pattern, re.ASCII).fullmatch

    def looks_right(text: str) -> bool:
        try:
            return matches(text) is not None and ("T" not in example or bool(datetime.fromisoformat(text)))
        except ValueError:
            return False

    return looks_right


def _with_every_column(frame: pd.DataFrame, row_type: type[Row]) -> pd.DataFrame:
    """With columns for the factors of the catalogue, their `off` where there is no level, and what older files lack."""
    factors = [name for name in columns(row_type) if name not in columns(row_type, ())]
    kinds, numbers = {field.name: field.type for field in dataclasses.fields(row_type)}, (float | None, int | None)
    absent = [name for name in columns(row_type) if name not in frame.columns]
    frame = frame.assign(**{name: math.nan if kinds.get(name) in numbers else None for name in absent})
    for factor in catalogue().factors:
        if factor.column in factors:
            # Of a network alone, factors of the training say nothing.
            says = (frame["metric"] == "train") | factor.changes_network if row_type is TimingRow else True
            empty = frame[factor.column].isna() & says
            if empty.any():
                frame.loc[empty, factor.column] = off_of(factor.column)
            if all(type(level) in {int, float} for level in factor.levels):
                frame[factor.column] = frame[factor.column].astype(float)
    others = [name for name in frame.columns if name not in columns(row_type)]
    return frame[columns(row_type, (*factors, *others))] if factors else frame


def _require_key_parts(frame: pd.DataFrame) -> None:
    """Of schema 2 a trial says what its key is made of; one that is done says what it reached."""
    for name in ("input", "classes", "network", "training"):
        lacking = np.flatnonzero((frame["schema"] == SCHEMA) & frame[name].isna())
        if len(lacking):
            raise _BadFieldError(int(lacking[0]), f"{name} is empty")
    held_out = np.where(frame["val"] > 0, frame["val_accuracy"], frame["test_accuracy"])
    lacking = np.flatnonzero((frame["status"] == "done") & np.isnan(held_out.astype(float)))
    if len(lacking):
        raise _BadFieldError(int(lacking[0]), "it says that the trial is done, and has no accuracy")


def _float_shape(name: str, row_type: type[Row]) -> Callable[[str], object]:
    # An epoch that diverged has a loss that is not finite.
    return _is_any_float if name.endswith("loss") and row_type is not TrialRow else _is_float


def _is_float(text: str) -> bool:
    """Whether it is a number, and one that isn't too large for a float."""
    return _DECIMAL(text) is not None and math.isfinite(float(text))


def _is_any_float(text: str) -> bool:
    return text in {"nan", "inf", "-inf"} or _is_float(text)


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
    if name == "schema" and len(wrong := np.flatnonzero((numbers < 1) | (numbers > SCHEMA))):
        found = values[int(wrong[0])]
        raise _BadFieldError(int(wrong[0]), f"it has schema {found}, and this version reads up to {SCHEMA}")
    return pd.Series(numbers)


def _require_one_row_a_trial(path: Path, frame: pd.DataFrame, lines: Sequence[int]) -> None:
    """A trial of a cell may have several rows only where all but its last one say that it failed. Cells that are the
    same but for their names share trials."""
    again = _has_two_rows_a_trial(frame)
    if again.any():
        row = int(np.flatnonzero(again)[0])
        trial = frame["trial"].iloc[row]
        other = int(np.flatnonzero(frame["trial"] == trial)[-1])
        raise StoreError(
            f"{path}, lines {lines[row]} and {lines[other]}: both are of trial {trial}: delete one of them"
        )


def _has_two_rows_a_trial(frame: pd.DataFrame) -> "pd.Series[bool]":
    cell = ["trial", "architecture", *(name for name in frame.columns if name not in columns(TrialRow, ()))]
    again: pd.Series[bool] = frame["trial"].duplicated(keep=False) & (frame["status"] != "failed")
    return again & frame[cell].duplicated(keep="last") if again.any() else again


def _warn_of_half_a_line(path: Path) -> None:
    _log.warning("%s ends in half a line, which is not counted", path)
