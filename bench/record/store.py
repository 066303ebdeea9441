"""A results folder: CSV files that only grow. One process writes; a row is there whole or not at all."""

import csv
import dataclasses
import io
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.record.schema import (
    CorrectRow,
    EpochRow,
    MachineRow,
    Row,
    TimingRow,
    TrialRow,
    columns,
    to_cells,
)

_log = logging.getLogger(__name__)


class StoreError(BenchError):
    """A results file can't be written, or isn't what this version writes."""


class Store:
    """The rows of one data set. `trials` names the file of trial rows: trials.csv for rows measured on test images,
    selection.csv for rows measured on held-out training images, so that the two never mix."""

    def __init__(self, folder: Path, trials: str = "trials.csv") -> None:
        self.folder = folder
        self.trials_path = folder / trials
        self._machines: set[str] | None = None

    def add_trial(self, row: TrialRow, epochs: Iterable[EpochRow] = (), correct: CorrectRow | None = None) -> None:
        """Records a trial. Its own row is written last: a trial whose row is missing never happened."""
        self._append(self.folder / "epochs.csv", epochs)
        if correct is not None:
            self._append(self.folder / "correct.csv", [correct])
        self._append(self.trials_path, [row])

    def add_timings(self, rows: Iterable[TimingRow]) -> None:
        """Records timing samples."""
        self._append(self.folder / "timings.csv", rows)

    def add_machine(self, row: MachineRow) -> None:
        """Records the machine unless it is known."""
        path = self.folder / "machines.csv"
        if self._machines is None:
            self._machines = set(self._read(path, MachineRow)["machine"])
        if row.machine not in self._machines:
            self._append(path, [row])
            self._machines.add(row.machine)

    def trials(self) -> pd.DataFrame:
        """One row per trial, columns as in TrialRow."""
        return self._read(self.trials_path, TrialRow)

    def epochs(self) -> pd.DataFrame:
        """One row per recorded trial and epoch, columns as in EpochRow."""
        frame = self._read(self.folder / "epochs.csv", EpochRow)
        recorded = frame[frame["trial"].isin(self.trials()["trial"])]
        return recorded.drop_duplicates(["trial", "epoch"], keep="last").reset_index(drop=True)

    def timings(self) -> pd.DataFrame:
        """One row per timing sample, columns as in TimingRow."""
        return self._read(self.folder / "timings.csv", TimingRow)

    def _append(self, path: Path, rows: Iterable[Row]) -> None:
        rows = list(rows)
        if not rows:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                if file.tell() == 0:
                    text = _csv_text([columns(type(rows[0]))])
                else:
                    _check_header(path, columns(type(rows[0])))
                    _set_torn_line_aside(path)
                    text = ""
                file.write((text + _csv_text(to_cells(row) for row in rows)).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{path} can't be written: {error.strerror or error}") from error

    def _read(self, path: Path, row_type: type[Row]) -> pd.DataFrame:
        if not path.exists():
            return pd.DataFrame(columns=columns(row_type))
        _check_header(path, columns(row_type))
        whole_lines = path.read_bytes().rpartition(b"\n")[0]
        try:
            frame = pd.read_csv(io.BytesIO(whole_lines + b"\n"), dtype=str, keep_default_na=False, na_values=[""])
            return frame.astype(_column_types(row_type))
        except ValueError as error:
            raise StoreError(f"{path} can't be read: {error}; move it away to start anew") from error


def _column_types(row_type: type[Row]) -> dict[str, str]:
    """What pandas should make of each column's text. Numbers that may be missing are floats: NaN is their gap."""
    types: dict[str, str] = {}
    for field in dataclasses.fields(row_type):
        if field.type is int:
            types[field.name] = "int64"
        elif field.type in {float, float | None, int | None}:
            types[field.name] = "float64"
    return types


def _csv_text(lines: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _check_header(path: Path, expected: list[str]) -> None:
    with path.open("rb") as file:
        header = file.readline().decode(errors="replace").rstrip("\r\n")
    if header != ",".join(expected):
        raise StoreError(
            f"{path} has other columns than this version writes: move it away, or give another --results folder"
        )


def _set_torn_line_aside(path: Path) -> None:
    """A write that was cut short leaves a last line without its end; it moves to a file beside."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole, newline, torn = file.read().rpartition(b"\n")
        aside = path.with_name(path.name + ".torn")
        with aside.open("ab") as kept:
            kept.write(torn + b"\n")
        file.truncate(len(whole) + len(newline))
    _log.warning("%s ended in half a line, now in %s", path, aside.name)
