"""From what a worker hands back to the rows that are kept."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from architectures.summary import Summary
from bench.plan.trials import Trial
from bench.record.schema import SCHEMA, ConfusionRow, CorrectRow, EpochRow, ImageRow, SpeedRow, TimingRow, TrialRow
from bench.run.speed import SpeedSample
from bench.run.worker import Trained
from bench.train.data import Split
from bench.train.outcome import Outcome
from bench.train.timing import Sample


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the rows of one run share: its name and design, and the digests of data, code and machine."""

    run: str
    design: str
    data: str
    code: str
    machine: str

    def key(self, trial: Trial) -> str:
        """The trial's content key under this data and code."""
        return trial.key(self.data, self.code)


def trial_row(trained: Trained, summary: Summary, provenance: Provenance, train_images: int) -> TrialRow:
    """The row of a trial, whatever came of it. Only one that is done has accuracies."""
    trial, outcome = trained.trial, trained.outcome
    protocol, levels = trial.protocol, trial.cell.levels
    curve = outcome.curve if outcome is not None and outcome.status == "done" else ()
    last = curve[-1] if curve else None
    on_test = last if protocol.val == 0 else None
    on_val = last if protocol.val > 0 else None
    seconds = outcome.train_seconds if outcome is not None else None
    trained_images = len(outcome.curve) * train_images if outcome is not None else 0
    return TrialRow(
        schema=SCHEMA,
        trial=provenance.key(trial),
        run=provenance.run,
        design=provenance.design,
        dataset=protocol.dataset,
        architecture=trial.cell.architecture,
        batch_norm=levels.batch_norm,
        gap=levels.gap,
        dropout=levels.dropout,
        augmentation=levels.augmentation,
        scheduler=levels.scheduler,
        seed=trial.seed,
        epochs=protocol.epochs,
        batch_size=protocol.batch_size,
        optimizer=protocol.optimizer,
        lr=trial.lr,
        precision=protocol.precision,
        device=protocol.device,
        val=protocol.val,
        status=outcome.status if outcome is not None else "failed",
        error=trained.error,
        test_accuracy=on_test.held_out_accuracy if on_test else None,
        test_loss=on_test.held_out_loss if on_test else None,
        val_accuracy=on_val.held_out_accuracy if on_val else None,
        val_loss=on_val.held_out_loss if on_val else None,
        train_accuracy=last.train_accuracy if last else None,
        train_loss=last.train_loss if last else None,
        best_test_accuracy=max(epoch.held_out_accuracy for epoch in curve) if on_test else None,
        epochs_to_99=next((e.number for e in curve if e.held_out_accuracy >= 0.99), None) if on_test else None,
        parameters=summary.parameters,
        macs=summary.macs,
        receptive_field=summary.receptive_field,
        train_seconds=seconds,
        train_images_per_second=trained_images / seconds if seconds else None,
        peak_memory_bytes=trained.peak_memory_bytes,
        started_at=trained.started_at,
        data=provenance.data,
        code=provenance.code,
        machine=trained.machine.machine if trained.machine else provenance.machine,
    )


def epoch_rows(trial: Trial, outcome: Outcome, provenance: Provenance) -> list[EpochRow]:
    """The learning curve. Under a protocol that holds images out, the test columns stay empty."""
    held_out = trial.protocol.val > 0
    return [
        EpochRow(
            trial=provenance.key(trial),
            epoch=epoch.number,
            train_accuracy=epoch.train_accuracy,
            train_loss=epoch.train_loss,
            test_accuracy=None if held_out else epoch.held_out_accuracy,
            test_loss=None if held_out else epoch.held_out_loss,
            val_accuracy=epoch.held_out_accuracy if held_out else None,
            val_loss=epoch.held_out_loss if held_out else None,
            lr=epoch.lr,
            seconds=epoch.seconds,
        )
        for epoch in outcome.curve
    ]


def correct_row(trial: Trial, outcome: Outcome, test: Split, provenance: Provenance) -> CorrectRow:
    """Which test images a finished trial got right."""
    right = np.array(outcome.predicted) == test.labels.numpy()
    return CorrectRow(provenance.key(trial), len(right), base64.b64encode(np.packbits(right).tobytes()).decode())


def confusion_row(trial: Trial, outcome: Outcome, test: Split, classes: int, provenance: Provenance) -> ConfusionRow:
    """How often a finished trial took each class for each other."""
    pairs = np.stack([test.labels.numpy(), np.array(outcome.predicted)])
    named, counts = np.unique(pairs, axis=1, return_counts=True)
    texts = [f"{true}:{predicted}:{count}" for (true, predicted), count in zip(named.T, counts, strict=True)]
    return ConfusionRow(provenance.key(trial), classes, " ".join(texts))


def image_row(index: int, test: Split, provenance: Provenance) -> ImageRow:
    """A test image as it is."""
    pixels = test.images[index].permute(1, 2, 0).squeeze(2).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png", optimize=True)
    return ImageRow(provenance.data, index, int(test.labels[index]), base64.b64encode(file.getvalue()).decode())


def speed_row(sample: SpeedSample, trial: Trial, provenance: Provenance) -> SpeedRow:
    """A sample of training speed of the trial's network. The plain loop is always fp32."""
    levels = sample.cell.levels
    return SpeedRow(
        run=provenance.run,
        arm=sample.arm,
        architecture=sample.cell.architecture,
        batch_norm=levels.batch_norm,
        gap=levels.gap,
        dropout=levels.dropout,
        augmentation=levels.augmentation,
        loader_workers=sample.loader_workers,
        processes=sample.processes,
        threads=sample.threads,
        batch_size=trial.protocol.batch_size,
        round=sample.round,
        images=sample.images,
        seconds=sample.seconds,
        memory_bytes=sample.memory_bytes,
        precision="fp32" if sample.arm == "plain" else trial.protocol.precision,
        device=trial.protocol.device,
        code=provenance.code,
        machine=provenance.machine,
    )


def timing_row(sample: Sample, trial: Trial, provenance: Provenance) -> TimingRow:
    """A timing sample under the protocol of `trial`, taken with one thread."""
    levels = sample.cell.levels
    return TimingRow(
        run=provenance.run,
        metric=sample.metric,
        architecture=sample.cell.architecture,
        batch_norm=levels.batch_norm,
        gap=levels.gap,
        dropout=levels.dropout,
        augmentation=sample.augmentation,
        batch_size=sample.batch_size,
        optimizer=trial.protocol.optimizer,
        round=sample.round,
        images=sample.images,
        seconds=sample.seconds,
        threads=1,
        precision=trial.protocol.precision,
        device=trial.protocol.device,
        code=provenance.code,
        machine=provenance.machine,
    )
