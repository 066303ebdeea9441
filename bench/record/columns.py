"""The columns of the rows' files: their order, what they may hold, and rows as their text."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.plan.catalogue import catalogue
from bench.record.schema import MachineRow, QualityRow, Row, SpeedRow, TrialRow

# What numbers can be, by column; bounds included.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("test_accuracy", "val_accuracy", "train_accuracy", "best_test_accuracy"), (0.0, 1.0)),
    "train_accuracy_undistorted": (0.0, 1.0),
    **dict.fromkeys(("epochs", "epoch", "epochs_to_99", "batch_size", "parameters", "images", "look"), (1.0, 1e12)),
    **dict.fromkeys(("macs", "step_macs"), (1.0, 1e15)),
    **dict.fromkeys(("peak_flops", "copied_bytes"), (1.0, 1e18)),
    "classes": (1.0, 1e4),
    **dict.fromkeys(("seed", "val", "receptive_field", "round", "image", "label", "mistakes"), (0.0, 1e15)),
    **dict.fromkeys(("threads", "processes", "loader_workers", "trials"), (0.0, 1e6)),
    **dict.fromkeys(("test_loss", "val_loss", "train_loss", "lr", "selected_lr", "train_seconds"), (0.0, math.inf)),
    "seconds": (1e-9, math.inf),  # whatever is timed takes some, and speeds are divided by it
    "train_loss_undistorted": (0.0, math.inf),
    **dict.fromkeys(("accuracy", "calibration_error"), (0.0, 1.0)),
    "loss": (0.0, math.inf),
    "brier": (0.0, 2.0),
    **dict.fromkeys(("networks", "passes"), (1.0, 1e6)),
    **dict.fromkeys(("train_images", "phase_updates", "training_parameters"), (1.0, 1e12)),
    **dict.fromkeys(("phase_seconds", "teacher_seconds"), (0.0, math.inf)),
}

# What words can be, by column.
LEVELS: dict[str, tuple[str, ...]] = {
    "status": ("done", "diverged", "failed"),
    "metric": ("train", "inference", "latency"),
    "arm": ("plain", "harness", "unfused"),
}

# What other text looks like, by column: an example, and the pattern.
PATTERNS: dict[str, tuple[str, str]] = {
    "started_at": ("2026-01-31T23:59:59Z", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
    "looked_at": ("2026-01-31T23:59:59Z", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
    "seeds": ("0-9 20", r"[0-9]{1,9}(-[0-9]{1,9})?( [0-9]{1,9}(-[0-9]{1,9})?)*"),
    "members": ("0123456789abcdef fedcba9876543210", r"[0-9a-f]{16}( [0-9a-f]{16})*"),
    "input": ("3x32x32", r"[1-9][0-9]{0,3}(x[1-9][0-9]{0,3}){2}"),
}

# How a spreadsheet's formula begins.
FORMULA = ("=", "+", "-", "@")

# Columns that hold words from outside the program, which a spreadsheet could take for a formula.
FREE_TEXT = frozenset({"error", "cpu", "gpu", "os", "architecture", "dataset", "phase", "name", "cell"})

# The columns that files of schema 1 didn't have, or the first ones of schema 2.
_SINCE_2: dict[type[Row], frozenset[str]] = {
    TrialRow: frozenset(
        {
            *("selected_lr", "input", "classes", "network", "training", "study", "source"),
            *("train_accuracy_undistorted", "train_loss_undistorted"),
            *("train_images", "phase", "phase_updates", "phase_seconds", "teacher_seconds", "training_parameters"),
        }
    ),
    SpeedRow: frozenset({"training_bytes", "step_macs", "peak_flops", "copied_bytes"}),
    MachineRow: frozenset({"vectors"}),
    QualityRow: frozenset({"test_loss", "vectors", "torch"}),
}


def columns(row_type: type[Row], factors: Sequence[str] | None = None) -> list[str]:
    """The columns of a file of such rows, in order, with one for each of `factors` where the rows have levels; without
    `factors` those of the catalogue."""
    names = [field.name for field in dataclasses.fields(row_type)]
    if "levels" not in names:
        return names
    at = names.index("levels")
    return [*names[:at], *(catalogue().columns if factors is None else factors), *names[at + 1 :]]


def since_2(row_type: type[Row]) -> frozenset[str]:
    """The columns that a file of such rows may lack: those of schema 1 didn't have them, nor some of schema 2."""
    return _SINCE_2.get(row_type, frozenset())


def factors_of(row: Row) -> dict[str, str | float | None]:
    """The levels that a row has, by column; none for rows without."""
    return dict(getattr(row, "levels", {}))


def uses(row: Row, factor: str) -> bool:
    """Whether a row has a level of a factor other than its `off`."""
    level = factors_of(row).get(factor)
    return level not in (None, "") and not (factor in catalogue().by_column and level == off_of(factor))


def off_of(factor: str) -> str | float | None:
    """What a factor that isn't used reads as; None for one that the catalogue doesn't know."""
    known = catalogue().by_column.get(factor)
    return None if known is None else known.written(known.off)


def from_frame(value: Any, kind: Any) -> Any:
    """A value of a frame, where a whole number that may be missing is a float, as a row has it."""
    if value is None or value != value:  # noqa: PLR0124  # not a number
        return None
    return int(value) if kind in {int, int | None} else value


def to_cells(row: Row, names: Sequence[str]) -> list[str]:
    """The row as text under the columns `names`, at full precision: on and off for a switch, nothing for None."""
    levels = factors_of(row)
    return [_to_cell(name, levels.get(name) if name in levels else getattr(row, name, None), levels) for name in names]


def _to_cell(name: str, value: object, levels: Mapping[str, Any]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return repr(float(value))  # of numpy's floats repr says whose they are
    text = " ".join(str(value).split())
    return f"'{text}" if (name in FREE_TEXT or name in levels) and text.startswith(FORMULA) else text
