"""A results folder: CSV files that only grow. One process writes; a row is there whole or not at all."""

import csv
import errno
import io
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from bench.record.columns import columns, factors_of, to_cells, uses
from bench.record.probabilities import LogProbabilities, read_probabilities, write_probabilities
from bench.record.reading import StoreError, WriteError, checked_header, read_rows
from bench.record.replacing import replacing
from bench.record.schema import (
    ClassRow,
    ConfusionRow,
    CorrectRow,
    EnsembleRow,
    EpochRow,
    ImageRow,
    LabelsRow,
    LookRow,
    MachineRow,
    OverheadRow,
    PartRow,
    PredictedRow,
    ReadoutRow,
    Row,
    SpeedRow,
    TimingRow,
    TrialRow,
)
from bench.record.schema1 import RENAMED, data_of_today, schema_1_parts

__all__ = ["Store", "StoreError", "WriteError"]

_log = logging.getLogger(__name__)

_FILES: dict[type[Row], str] = {
    EpochRow: "epochs.csv",
    CorrectRow: "correct.csv",
    PredictedRow: "predicted.csv",
    ReadoutRow: "readouts.csv",
    EnsembleRow: "ensembles.csv",
    LabelsRow: "labels.csv",
    ConfusionRow: "confusion.csv",
    ClassRow: "classes.csv",
    ImageRow: "images.csv",
    TimingRow: "timings.csv",
    SpeedRow: "speed.csv",
    OverheadRow: "overhead.csv",
    LookRow: "looks.csv",
    MachineRow: "machines.csv",
    PartRow: "parts.csv",
}


# Where rows lie that were measured on held-out training images, so that they and those on test images never mix.
SELECTION = "selection.csv"

# The folder of what readouts give each class, a file a trial.
_PROBABILITIES = "probabilities"


class Store:
    """The rows of one data set. `trials` names the file of trial rows: trials.csv for rows measured on test images,
    SELECTION for the others."""

    def __init__(self, folder: Path, trials: str = "trials.csv") -> None:
        self.folder = folder
        self.trials_path = folder / trials
        self._has_folder = False
        self._known_machines: set[str] | None = None
        self._known_parts: set[str] | None = None
        self._known_labels: set[str] | None = None
        self._frames: dict[Path, tuple[tuple[int, int] | None, pd.DataFrame]] = {}

    def add_trial(self, row: TrialRow, details: Iterable[Row] = ()) -> None:
        """Records a trial with its epochs and bits. Its own row is written last: a trial without it never happened.
        Where it can't be written, the others are taken back, lest each new try adds them once more."""
        by_type: dict[type[Row], list[Row]] = {}
        for detail in details:
            by_type.setdefault(type(detail), []).append(detail)
        sizes: dict[Path, int] = {}
        try:
            for row_type, rows in by_type.items():
                path = self.folder / _FILES[row_type]
                sizes[path] = self._append(path, rows)
            self._append(self.trials_path, [row])
        except WriteError:
            for path, size in sizes.items():
                with suppress(OSError):  # readers leave them out as well
                    os.truncate(path, size)
            raise

    def add_timings(self, rows: Iterable[TimingRow]) -> None:
        """Records timing samples."""
        self._append(self.folder / _FILES[TimingRow], rows)

    def add_speeds(self, rows: Iterable[SpeedRow]) -> None:
        """Records samples of training speed."""
        self._append(self.folder / _FILES[SpeedRow], rows)

    def add_overheads(self, rows: Iterable[OverheadRow]) -> None:
        """Records samples of what runs cost around the training."""
        self._append(self.folder / _FILES[OverheadRow], rows)

    def add_looks(self, rows: Iterable[LookRow]) -> None:
        """Records a look."""
        self._append(self.folder / _FILES[LookRow], rows)

    def add_images(self, rows: Iterable[ImageRow]) -> None:
        """Records test images."""
        self._append(self.folder / _FILES[ImageRow], rows)

    def add_class_names(self, data: str, names: Sequence[str]) -> None:
        """Records what the classes of a data set are called, in the order of their labels, unless that is known."""
        recorded = self.class_names()
        if not (recorded["data"] == data).any():
            rows = [ClassRow(data, label, name) for label, name in enumerate(names)]
            self._append(self.folder / _FILES[ClassRow], rows)

    def add_parts(self, training: str, parts: Mapping[str, str]) -> None:
        """Records what a `training` digest is made of unless it is known."""
        if self._known_parts is None:
            self._known_parts = set(self.parts()["training"])
        if training not in self._known_parts:
            self._append(self.folder / _FILES[PartRow], [PartRow(training, *part) for part in parts.items()])
            self._known_parts.add(training)

    def add_machine(self, row: MachineRow) -> None:
        """Records the machine unless it is known."""
        if self._known_machines is None:
            self._known_machines = set(self.machines()["machine"])
        if row.machine not in self._known_machines:
            self._append(self.folder / _FILES[MachineRow], [row])
            self._known_machines.add(row.machine)

    def add_labels(self, row: LabelsRow) -> None:
        """Records the labels of a data set's test images unless they are known."""
        if self._known_labels is None:
            self._known_labels = set(self.labels()["data"])
        if row.data not in self._known_labels:
            self._append(self.folder / _FILES[LabelsRow], [row])
            self._known_labels.add(row.data)

    def add_readouts(self, rows: Iterable[ReadoutRow]) -> None:
        """Records readouts of a trial that is recorded."""
        self._append(self.folder / _FILES[ReadoutRow], rows)

    def add_ensembles(self, rows: Iterable[EnsembleRow]) -> None:
        """Records ensembles of trials that are recorded."""
        self._append(self.folder / _FILES[EnsembleRow], rows)

    def add_probabilities(self, trial: str, predicted: Mapping[str, LogProbabilities]) -> None:
        """Keeps the predictions by a trial's readouts, in place of earlier ones. Raises WriteError."""
        path = self._probabilities_path(trial)
        try:
            self._make_folder()
            write_probabilities(path, predicted)
        except OSError as error:
            raise WriteError(f"{path} can't be written: {error.strerror or error}") from error

    def trials(self) -> pd.DataFrame:
        """One row per trial, columns as in TrialRow."""
        return self._read(self.trials_path, TrialRow)

    def on_held_out_images(self) -> pd.DataFrame:
        """One row per trial that was measured on held-out training images, columns as in TrialRow."""
        return self._read(self.folder / SELECTION, TrialRow)

    def epochs(self) -> pd.DataFrame:
        """One row per recorded trial and epoch, columns as in EpochRow."""
        return self._details(EpochRow, ["trial", "epoch"])

    def correct(self) -> pd.DataFrame:
        """One row per recorded trial, columns as in CorrectRow."""
        return self._details(CorrectRow, ["trial"])

    def predicted(self) -> pd.DataFrame:
        """One row per recorded trial that has them, columns as in PredictedRow."""
        return self._details(PredictedRow, ["trial"])

    def readouts(self) -> pd.DataFrame:
        """One row per recorded trial and readout, the newest, columns as in ReadoutRow."""
        return self._details(ReadoutRow, ["trial", "readout"])

    def ensembles(self) -> pd.DataFrame:
        """One row per ensemble and run that recorded it, columns as in EnsembleRow."""
        return self._read(self.folder / _FILES[EnsembleRow], EnsembleRow)

    def kept_probabilities(self) -> set[str]:
        """The trials of which predictions of the readouts are kept."""
        return {path.stem for path in (self.folder / _PROBABILITIES).glob("*.npz")}

    def probabilities(self, trial: str, readout: str) -> NDArray[np.float16] | None:
        """What a trial's readout gives the test images, logarithms of probabilities, (images, classes); None where that
        wasn't kept. Raises StoreError."""
        return read_probabilities(self._probabilities_path(trial), readout)

    def labels(self) -> pd.DataFrame:
        """One row per digest of data, columns as in LabelsRow."""
        return self._read(self.folder / _FILES[LabelsRow], LabelsRow).drop_duplicates("data")

    def confusion(self) -> pd.DataFrame:
        """One row per recorded trial, columns as in ConfusionRow."""
        return self._details(ConfusionRow, ["trial"])

    def class_names(self) -> pd.DataFrame:
        """One row per named class, columns as in ClassRow."""
        return self._read(self.folder / _FILES[ClassRow], ClassRow).drop_duplicates(["data", "label"])

    def images(self) -> pd.DataFrame:
        """One row per recorded test image, columns as in ImageRow."""
        rows = self._read(self.folder / _FILES[ImageRow], ImageRow)
        return rows.assign(data=data_of_today(rows["data"])).drop_duplicates(["data", "image"])

    def timings(self) -> pd.DataFrame:
        """One row per timing sample, columns as in TimingRow."""
        return self._read(self.folder / _FILES[TimingRow], TimingRow)

    def speeds(self) -> pd.DataFrame:
        """One row per sample of training speed, columns as in SpeedRow."""
        return self._read(self.folder / _FILES[SpeedRow], SpeedRow)

    def overheads(self) -> pd.DataFrame:
        """One row per sample of what a run costs around the training, columns as in OverheadRow."""
        return self._read(self.folder / _FILES[OverheadRow], OverheadRow)

    def looks(self) -> pd.DataFrame:
        """One row per look and cell, columns as in LookRow."""
        return self._read(self.folder / _FILES[LookRow], LookRow)

    def machines(self) -> pd.DataFrame:
        """One row per machine, columns as in MachineRow."""
        return self._read(self.folder / _FILES[MachineRow], MachineRow)

    def parts(self) -> pd.DataFrame:
        """One row per training digest and part, columns as in PartRow; those of schema 1 are among them."""
        recorded = self._read(self.folder / _FILES[PartRow], PartRow)
        return pd.concat([recorded, schema_1_parts()], ignore_index=True).drop_duplicates(["training", "part"])

    def torn_lines(self) -> dict[str, int]:
        """How many lines that a crash cut short were set aside, by the file that they stood in."""
        return {path.stem: path.read_bytes().count(b"\n") for path in sorted(self.folder.glob("*.torn"))}

    def _details(self, row_type: type[Row], key: list[str]) -> pd.DataFrame:
        """The rows of recorded trials, without what a trial left that was cut short and trained again."""
        rows = self._read(self.folder / _FILES[row_type], row_type)
        trials = self.trials()
        if renamed := trials.attrs.get(RENAMED):
            rows = rows.assign(trial=rows["trial"].map(renamed).fillna(rows["trial"]))
        numbers, different = pd.factorize(rows["trial"])  # each trial has many rows: numbers are compared in no time
        recorded = different.isin(trials["trial"])[numbers]
        kept = recorded & ~rows[key].assign(trial=numbers).duplicated(keep="last").to_numpy()
        return rows if kept.all() else rows[kept].reset_index(drop=True)

    def _probabilities_path(self, trial: str) -> Path:
        return self.folder / _PROBABILITIES / f"{trial}.npz"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other runs from writing here until the block ends. Raises StoreError when one is writing."""
        try:
            self._make_folder()
            lock = FileLock(self.folder / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"another run is writing to {self.folder}: wait until it is done, or give another --results folder"
            ) from None
        except OSError as error:
            raise WriteError(f"{self.folder} can't be written: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()

    def _append(self, path: Path, rows: Iterable[Row]) -> int:
        """Appends rows and sees them on the disk; a write that fails leaves the file as it was. Returns how long the
        file was. Raises WriteError."""
        rows = list(rows)
        if not rows:
            return 0
        try:
            self._make_folder()
            header = columns(type(rows[0]), list(dict.fromkeys(name for row in rows for name in factors_of(row))))
            if path.exists() and _set_torn_line_aside(path):
                header = _widened(path, rows)
            with path.open("ab", buffering=0) as file:
                before = file.seek(0, os.SEEK_END)
                text = "" if before else _csv_text([header])
                try:
                    _write_whole(file, (text + _csv_text(to_cells(row, header) for row in rows)).encode())
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
                return before
        except OSError as error:
            raise WriteError(f"{path} can't be written: {error.strerror or error}") from error

    def _make_folder(self) -> None:
        if self._has_folder and not self.folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder has vanished", str(self.folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._has_folder = True

    def _read(self, path: Path, row_type: type[Row]) -> pd.DataFrame:
        """The file's rows, read again only when the file has changed."""
        stamp = _stamp(path)
        if path not in self._frames or self._frames[path][0] != stamp:
            self._frames[path] = stamp, read_rows(path, row_type)
        return self._frames[path][1]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _csv_text(lines: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _widened(path: Path, rows: Sequence[Row]) -> list[str]:
    """The file's columns, after columns have joined it that these rows need: factors that they use, and those of a
    newer schema. The file is then replaced."""
    row_type = type(rows[0])
    with path.open("rb") as file:
        header = checked_header(path, file.readline().decode(errors="replace").rstrip("\r\n"), row_type)
    used = list(dict.fromkeys(name for row in rows for name in factors_of(row) if uses(row, name)))
    needed = [name for name in columns(row_type, used) if name not in header]
    if not needed:
        return header
    factors = [name for name in header if name not in columns(row_type, ())]
    wide = columns(row_type, (*factors, *(name for name in used if name not in factors)))
    read_rows(path, row_type)  # what can't be read isn't rewritten
    with path.open(encoding="utf-8", newline="") as old, replacing(path) as new:
        text = io.TextIOWrapper(new, encoding="utf-8", newline="")
        writer = csv.DictWriter(text, wide, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(csv.DictReader(old, strict=True))
        text.detach()  # which writes what it still holds
    return wide


def _write_whole(file: FileIO, data: bytes) -> None:
    """A raw write may take a part only, as on a disk that is nearly full."""
    while data:
        data = data[file.write(data) :]


def _set_torn_line_aside(path: Path) -> int:
    """Moves a last line without its end, left by a write that was cut short, to a file beside. Returns the new size."""
    size = path.stat().st_size
    if not size:
        return 0
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return size
        file.seek(0)
        whole, newline, torn = file.read().rpartition(b"\n")
        aside = path.with_name(path.name + ".torn")
        with aside.open("ab") as kept:
            kept.write(torn + b"\n")
        file.truncate(len(whole) + len(newline))
    _log.warning("%s ended in half a line, now in %s", path, aside.name)
    return len(whole) + len(newline)
