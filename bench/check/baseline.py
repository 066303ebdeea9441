"""The committed baselines: small CSV files, read with every check, written only when asked, with a diff to review."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from bench.plan.catalogue import catalogue
from bench.plan.factors import Factor
from bench.record.columns import columns, from_frame, to_cells
from bench.record.reading import StoreError, WriteError, read_rows
from bench.record.replacing import replace_text
from bench.record.schema import ExactRow, QualityRow

BaselineRow = TypeVar("BaselineRow", ExactRow, QualityRow)

FILES: dict[type[ExactRow] | type[QualityRow], str] = {ExactRow: "exact.csv", QualityRow: "quality.csv"}

# What was measured of a row, and where: it doesn't name the row.
_MEASURED = frozenset(
    {
        *("parameters", "macs", "receptive_field", "layers"),
        *("test_accuracy", "test_loss", "trial", "vectors", "torch"),
    }
)

# Of a file that changes altogether nobody reads every line.
_MOST_LINES = 40
_MOST_PARTS = 3


def baseline_path(results: Path, row_type: type[ExactRow] | type[QualityRow]) -> Path:
    """Where the baseline of such rows lies."""
    return results / "baseline" / FILES[row_type]


def read_baseline(results: Path, row_type: type[BaselineRow]) -> list[BaselineRow]:
    """The committed rows; none where there is no file. Raises StoreError for a file that this version didn't write."""
    path = baseline_path(results, row_type)
    if path.is_file() and not path.read_bytes().endswith(b"\n"):  # a file of rows may, that a run adds to
        raise StoreError(f"{path} ends in half a line, and so lacks rows: restore it, or delete it")
    frame = read_rows(path, row_type)
    rows = [as_row(row_type, record) for record in frame.to_dict("records")]
    if len(set(map(_identity, rows))) < len(rows):
        raise StoreError(f"{path} has two rows of the same network or trial: delete one of them")
    return rows


def as_row(row_type: type[BaselineRow], record: Mapping[Any, Any]) -> BaselineRow:
    """A record of a frame of rows as a row; what else is in the record is left out."""
    changing = [f for f in catalogue().factors if f.changes_network or row_type is QualityRow]
    levels = {factor.column: _as_written(factor, record[factor.column]) for factor in changing}
    fixed = {
        field.name: from_frame(record[field.name], field.type) for field in fields(row_type) if field.name in record
    }
    return row_type(levels=levels, **fixed)


def _as_written(factor: Factor, value: Any) -> str | float | None:
    """A level of a frame as rows are written with it: frames hold whole numbers as floats. What is no level any more
    stays as it is."""
    try:
        return factor.written(factor.read(value))
    except ValueError:
        return None if value is None else str(value)


def write_baseline(results: Path, row_type: type[BaselineRow], rows: Sequence[BaselineRow]) -> str:
    """Writes the rows in place of the file and returns what changed, for a reviewer. Raises StoreError."""
    path = baseline_path(results, row_type)
    before = read_baseline(results, row_type)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, _as_csv(row_type, rows))
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}") from error
    return "\n".join(_differences(path, before, rows))


def _as_csv(row_type: type[ExactRow] | type[QualityRow], rows: Sequence[ExactRow | QualityRow]) -> str:
    header = columns(row_type, list(dict.fromkeys(factor for row in rows for factor in row.levels)))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *(to_cells(row, header) for row in rows)])
    return text.getvalue()


def _differences(path: Path, before: Sequence[BaselineRow], after: Sequence[BaselineRow]) -> Iterator[str]:
    """Row by row what is gone, what has come, and which values have changed from what to what."""
    old = {_identity(row): row for row in before}
    new = {_identity(row): row for row in after}
    changed: dict[tuple[object, ...], list[str]] = {
        name: list(_changed(old[name], new[name])) for name in new if name in old and new[name] != old[name]
    }
    gone: list[tuple[object, ...]] = [name for name in old if name not in new]
    come: list[tuple[object, ...]] = [name for name in new if name not in old]
    yield f"{path}: {len(changed)} rows changed, {len(come)} new, {len(gone)} gone; look at `git diff` and commit it"
    lines = [
        *(f"- {_words(name)}" for name in gone),
        *(f"+ {_words(name)}" for name in come),
        *(f"~ {_words(name)}: {'; '.join(values)}" for name, values in changed.items()),
    ]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"... and {len(lines) - _MOST_LINES} rows more"


def _changed(old: BaselineRow, new: BaselineRow) -> Iterator[str]:
    for name in columns(type(new), ()):
        before, after = str(getattr(old, name)).split(), str(getattr(new, name)).split()
        pairs = [(one, other) for one, other in zip_longest(before, after, fillvalue="nothing") if one != other]
        yield from (f"{name} {one} to {other}" for one, other in pairs[:_MOST_PARTS])
        if len(pairs) > _MOST_PARTS:
            yield f"and {len(pairs) - _MOST_PARTS} parts of {name} more"


def _words(identity: Sequence[object]) -> str:
    return " ".join(map(str, identity))


def _identity(row: ExactRow | QualityRow) -> tuple[object, ...]:
    """What names a row: all its columns but what was measured."""
    measured = {
        "parameters",
        "macs",
        "receptive_field",
        "layers",
        "test_accuracy",
        "test_loss",
        "trial",
        "vectors",
        "torch",
    }
    named = [getattr(row, name) for name in columns(type(row), ()) if name not in measured]
    return (*named[:2], *row.levels.values(), *named[2:])
