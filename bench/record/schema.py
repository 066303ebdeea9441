"""The rows of the CSV files. A field is a column; None is an empty cell and means that nothing was measured.

`levels` is as many columns as there are factors, each under the factor's name: on and off for a switch, else the level.
A factor joins a file with its first row that uses it; an empty cell, as in rows written before, reads as its `off`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Files of schema 1 are read as well: see schema1.py.
SCHEMA = 2

Written = Mapping[str, str | float | None]


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial. Accuracies are fractions in [0, 1], losses nats, sizes bytes, times seconds.

    The headline is `test_accuracy`, the last epoch's; `best_test_accuracy` is picked on test data and so biased upward,
    and is kept for comparison with published single runs. Where `val` training images were held out, the `val_` columns
    are filled and the `test_` columns are empty. `train_accuracy` and `train_loss` are running averages of the last
    epoch over distorted images, as they were trained on; `train_accuracy_undistorted` and `train_loss_undistorted` are
    the last epoch's network's on the same images undistorted, measured like the test images, and empty in rows of
    versions that didn't measure them: their gap to the test figures is overfitting. `train_images_per_second` was taken
    with other trials running beside; timings.csv has the exclusive figures. `peak_memory_bytes` is the worker's
    high-water mark at the trial's end.

    `trial` is the trial's key, made of seed, rate and protocol and the digests `network` (what is computed), `training`
    (the code that this trial trained with, see PartRow) and `data` (images and labels). `input` is the images' shape,
    as in 3x32x32; `receptive_field` is in pixels, empty where it is the whole image. `selected_lr` is the rate that was
    selected for such a cell when the row was made, which is the one that it trained with unless `lr` says another;
    empty where none was. `code` is the digest of the whole engine, kernels included: it says what computed the row, and
    is no part of the key; nor are `study`, the name of a user's study, and `source`, the digest of its files.

    `train_images` is how many images it trained on. A trial that began with a phase of training has in `phase` the data
    set that this trained on, its own where only the number of updates was to be the same; `phase_updates` is how many
    updates the phase made, and `phase_seconds` what these took when they were made, by this trial or by another that
    starts with the same. `teacher_seconds` is what teachers took likewise, of a trial that has some.

    `parameters` and `macs` are the network's as it is deployed; `training_parameters`, where that is another number,
    those that it trains with.
    """

    schema: int
    trial: str
    run: str
    design: str
    dataset: str
    architecture: str
    levels: Written
    seed: int
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    selected_lr: float | None
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
    receptive_field: int | None
    train_seconds: float | None
    train_images_per_second: float | None
    peak_memory_bytes: int | None
    started_at: str
    input: str
    classes: int
    network: str
    training: str
    data: str
    code: str
    machine: str
    study: str | None = None
    source: str | None = None
    train_accuracy_undistorted: float | None = None
    train_loss_undistorted: float | None = None
    train_images: int | None = None
    phase: str | None = None
    phase_updates: int | None = None
    phase_seconds: float | None = None
    teacher_seconds: float | None = None
    training_parameters: int | None = None


@dataclass(frozen=True, slots=True)
class PartRow:
    """What a trial's `training` digest is made of: the digest of the code for each part (loop, evaluation, optimizer,
    schedule, augmentation), so that it can be said which one moved."""

    training: str
    part: str
    digest: str


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
class PredictedRow:
    """What the last epoch's network took the `mistakes` test images for that it got wrong, in their order: base64 of a
    byte a class, or of two, the low one first, where `predicted` decodes to twice as many bytes as there are mistakes.
    What it took the others for, LabelsRow says; which are which, CorrectRow."""

    trial: str
    mistakes: int
    predicted: str | None


@dataclass(frozen=True, slots=True)
class ReadoutRow:
    """How good the predictions by one readout of a trial's training were, on the images that its row is about: accuracy
    as a fraction, loss in nats, Brier score (0 to 2) and calibration error (a fraction), as `probabilities.Quality` has
    them.

    A trial's readouts in one `run` are of one training, so paired with its `last`, the last step's weights. That was
    trained again where the trial's own row is older. `code` is the digest of the code that reads out so; `networks` is
    how many sets of weights are kept for it, `passes` how many forward passes an image takes. probabilities/<trial>.npz
    has the predictions for test images: by readout, logarithms of probabilities in float16, (images, classes).
    """

    trial: str
    run: str
    readout: str
    code: str
    images: int
    accuracy: float
    loss: float
    brier: float
    calibration_error: float
    networks: int
    passes: int


@dataclass(frozen=True, slots=True)
class EnsembleRow:
    """How good the mean probabilities of trials of one cell are on the test images, those that their last weights give:
    figures as in ReadoutRow. `members` are the trials in the order of their seeds, with spaces between."""

    members: str
    run: str
    images: int
    accuracy: float
    loss: float
    brier: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class LabelsRow:
    """The labels of the test images of the data that `data` digests, written as PredictedRow has classes."""

    data: str
    images: int
    labels: str


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """How often the last epoch's network took each class for each other, on the test images.

    `counts` names the pairs that occurred, with spaces between, as true class:predicted class:count: there are at most
    as many as test images, of however many classes. Older rows hold classes x classes numbers instead, row by row: a
    row is a true class, a column a predicted one.
    """

    trial: str
    classes: int
    counts: str


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What people call a class of a data set, by the data's digest."""

    data: str
    label: int
    name: str


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A test image that many trials missed: its index in the test set, its label, and the image as base64 of a PNG."""

    data: str
    image: int
    label: int
    png: str


@dataclass(frozen=True, slots=True)
class TimingRow:
    """A raw sample of an exclusive timing round: `images` took `seconds`.

    `metric` is train (steps of `batch_size`, distortion and update included), inference (batches) or latency (one image
    after another). `augmentation` is empty where no image was distorted.
    """

    run: str
    metric: str
    architecture: str
    levels: Written
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
class SpeedRow:
    """A raw sample of training speed: `processes` trained side by side on `images` in all, in `seconds`.

    `arm` is plain (the plain loop, on all cores, fed by `loader_workers`), harness (a trial in each worker) or unfused
    (the same without the harness's kernels, on torch's own layers). `memory_bytes` is what all processes hold at their
    peak, pages that they share counted once; `training_bytes` is what training adds to one. Where `training_bytes` is
    empty, as earlier versions wrote rows, `memory_bytes` adds up the processes' high-water marks, which is mostly the
    libraries that they share.

    `step_macs` are the multiply-accumulates of a training step, an image's share, forward and backward. `peak_flops`,
    fp32 operations a second, and `copied_bytes`, read and written a second, are what all cores of the machine did at
    once in the same round, in a loop of multiply-adds in registers and in a copy. Rows of earlier versions and of GPUs
    lack them.
    """

    run: str
    arm: str
    architecture: str
    levels: Written
    loader_workers: int | None
    processes: int
    threads: int
    batch_size: int
    round: int
    images: int
    seconds: float
    memory_bytes: int | None
    training_bytes: int | None
    precision: str
    device: str
    code: str
    machine: str
    step_macs: int | None = None
    peak_flops: float | None = None
    copied_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class OverheadRow:
    """A raw sample of what a run costs around the training: `trials`, set up and recorded but not trained, took
    `seconds` with `processes` workers."""

    run: str
    trials: int
    processes: int
    round: int
    seconds: float
    code: str
    machine: str


@dataclass(frozen=True, slots=True)
class LookRow:
    """What a look of `run --until settled` counted of a cell: the `seeds` of its trials at a learning rate, as in 0-9
    20, done or not. A look has a row for every cell that got seeds since the one before; `look` numbers those of a
    protocol from 1."""

    run: str
    look: int
    looked_at: str
    epochs: int
    batch_size: int
    optimizer: str
    precision: str
    device: str
    data: str
    cell: str
    lr: float
    seeds: str


@dataclass(frozen=True, slots=True)
class MachineRow:
    """What rows were made on; `machine` is a digest of the rest. `vectors` names the widest vectors that torch computes
    with, as in avx512 bf16: sums are added up in another order on others, so that a trial's bits are the same on
    machines with the same vectors and versions, and on others the same but for rounding."""

    machine: str
    cpu: str
    vectors: str | None
    cores: int
    memory_bytes: int | None
    gpu: str | None
    os: str
    python: str
    torch: str
    cuda: str | None


@dataclass(frozen=True, slots=True)
class ExactRow:
    """What `bench check exact` expects of a network on one image of its study's data: counts, and its layers with
    spaces between, as name:kind:output:receptive field; an empty field is the whole image, as in TrialRow."""

    architecture: str
    levels: Written
    parameters: int
    macs: int
    receptive_field: int | None
    layers: str


@dataclass(frozen=True, slots=True)
class QualityRow:
    """A trial that `bench check quality` compares with, columns as in TrialRow, and as in MachineRow `vectors` and
    `torch`: what decides whether the same bits can be expected. Rows written before have no loss and name no machine.
    """

    dataset: str
    architecture: str
    levels: Written
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    precision: str
    seed: int
    test_accuracy: float
    test_loss: float | None
    trial: str
    vectors: str | None
    torch: str | None


Row = (
    TrialRow
    | PartRow
    | EpochRow
    | CorrectRow
    | PredictedRow
    | ReadoutRow
    | EnsembleRow
    | LabelsRow
    | ConfusionRow
    | ClassRow
    | ImageRow
    | TimingRow
    | SpeedRow
    | OverheadRow
    | LookRow
    | MachineRow
    | ExactRow
    | QualityRow
)
