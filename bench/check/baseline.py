"""The committed baselines: small CSV files, read with every check, written only when asked, with a diff to review."""

import csv
import dataclasses
import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bench.record.reading import StoreError, WriteError, read_rows
from bench.record.schema import ExactRow, QualityRow, columns, to_cells

BaselineRow = TypeVar("BaselineRow", ExactRow, QualityRow)

FILES: dict[type[ExactRow] | type[QualityRow], str] = {ExactRow: "exact.csv", QualityRow: "quality.csv"}

# Of a file that changes altogether nobody reads every line.
_LONGEST_DIFF = 40


def baseline_path(results: Path, row_type: type[ExactRow] | type[QualityRow]) -> Path:
    """Where the baseline of such rows lies."""
    return results / "baseline" / FILES[row_type]


def read_baseline(results: Path, row_type: type[BaselineRow]) -> list[BaselineRow]:
    """The committed rows; none where there is no file. Raises StoreError for a file that this version didn't write."""
    path = baseline_path(results, row_type)
    frame = read_rows(path, row_type)
    rows = [as_row(row_type, record) for record in frame.to_dict("records")]
    if len(set(map(_identity, rows))) < len(rows):
        raise StoreError(f"{path} has two rows of the same network or trial: delete one of them")
    return rows


def as_row(row_type: type[BaselineRow], record: Mapping[Any, Any]) -> BaselineRow:
    """A record of a frame of rows as a row; what else is in the record is left out."""
    switches = {field.name for field in dataclasses.fields(row_type) if field.type is bool}
    names = columns(row_type)
    return row_type(**{name: record[name] == "on" if name in switches else record[name] for name in names})


def write_baseline(results: Path, row_type: type[BaselineRow], rows: Sequence[BaselineRow]) -> str:
    """Writes the rows in place of the file and returns what changed, as a diff. Raises WriteError."""
    path = baseline_path(results, row_type)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns(row_type), *map(to_cells, rows)])
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.getvalue(), encoding="utf-8", newline="\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WriteError(f"{path} can't be written: {error}") from error
    return _diff(path, before, text.getvalue())


def _diff(path: Path, before: str, after: str) -> str:
    if before == after:
        return f"{path}: nothing to change"
    changes = [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    gone, come = (sum(line.startswith(mark) for line in changes) for mark in "-+")
    more = [f"... and {len(changes) - _LONGEST_DIFF} lines more"] if len(changes) > _LONGEST_DIFF else []
    return "\n".join([f"{path}: {gone} lines taken out, {come} put in", *changes[:_LONGEST_DIFF], *more])


def _identity(row: ExactRow | QualityRow) -> tuple[object, ...]:
    """What names a row: all its columns but what was measured."""
    measured = {"parameters", "macs", "receptive_field", "layers", "test_accuracy", "trial"}
    return tuple(getattr(row, name) for name in columns(type(row)) if name not in measured)
