"""The rows of the CSV files. A field is a column; None is an empty cell and means that nothing was measured."""

import dataclasses
from dataclasses import dataclass

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial. Accuracies are fractions in [0, 1], losses nats, sizes bytes, times seconds.

    The headline is `test_accuracy`, the last epoch's; `best_test_accuracy` is picked on test data and so biased upward,
    and is kept for comparison with published single runs. Where `val` training images were held out, the `val_` columns
    are filled and the `test_` columns are empty. `train_images_per_second` was taken with other trials running beside;
    timings.csv has the exclusive figures. `peak_memory_bytes` is the worker's high-water mark at the trial's end.
    """

    schema: int
    trial: str
    run: str
    design: str
    dataset: str
    architecture: str
    batch_norm: bool
    gap: bool
    dropout: float
    augmentation: str
    scheduler: str
    seed: int
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    precision: str
    device: str
    val: int
    status: str
    error: str | None
    test_accuracy: float | None
    test_loss: float | None
    val_accuracy: float | None
    val_loss: float | None
    train_accuracy: float | None
    train_loss: float | None
    best_test_accuracy: float | None
    epochs_to_99: int | None
    parameters: int
    macs: int
    receptive_field: int
    train_seconds: float | None
    train_images_per_second: float | None
    peak_memory_bytes: int | None
    started_at: str
    data: str
    code: str
    machine: str


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch of one trial. `seconds` includes measuring on the held-out images."""

    trial: str
    epoch: int
    train_accuracy: float
    train_loss: float
    test_accuracy: float | None
    test_loss: float | None
    val_accuracy: float | None
    val_loss: float | None
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class CorrectRow:
    """Which test images the last epoch's network got right: `images` bits, first image and high bit first, base64."""

    trial: str
    images: int
    correct: str


@dataclass(frozen=True, slots=True)
class TimingRow:
    """A raw sample of an exclusive timing round: `images` took `seconds`.

    `metric` is train (steps of `batch_size`, distortion and update included), inference (batches) or latency (one image
    after another). `augmentation` is empty where no image was distorted.
    """

    run: str
    metric: str
    architecture: str
    batch_norm: bool
    gap: bool
    dropout: float
    augmentation: str | None
    batch_size: int
    optimizer: str
    round: int
    images: int
    seconds: float
    threads: int
    precision: str
    device: str
    code: str
    machine: str


@dataclass(frozen=True, slots=True)
class MachineRow:
    """What rows were made on; `machine` is a digest of the rest."""

    machine: str
    cpu: str
    cores: int
    memory_bytes: int | None
    gpu: str | None
    os: str
    python: str
    torch: str
    cuda: str | None


Row = TrialRow | EpochRow | CorrectRow | TimingRow | MachineRow


def columns(row_type: type[Row]) -> list[str]:
    """The columns of a file of such rows, in order."""
    return [field.name for field in dataclasses.fields(row_type)]


def to_cells(row: Row) -> list[str]:
    """The row as text, at full precision: on and off for a switch, nothing for None."""
    return [_to_cell(getattr(row, name)) for name in columns(type(row))]


def _to_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return repr(value)
    return " ".join(str(value).split())
