"""From what a worker hands back to the rows that are kept."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image

from bench.plan.catalogue import catalogue, written_levels
from bench.plan.cells import Cell
from bench.plan.keys import Parts, training_digest, trial_keys
from bench.plan.protocol import Protocol
from bench.plan.readouts import known_readouts
from bench.plan.trials import Trial
from bench.record.classes import packed_classes
from bench.record.columns import from_frame
from bench.record.probabilities import quality
from bench.record.schema import (
    SCHEMA,
    ConfusionRow,
    CorrectRow,
    EpochRow,
    ImageRow,
    LabelsRow,
    PredictedRow,
    ReadoutRow,
    SpeedRow,
    TimingRow,
    TrialRow,
)
from bench.run.speed import SpeedSample
from bench.run.worker import Trained
from bench.train.data import Data, Split
from bench.train.fit import stacks
from bench.train.identity import training_parts
from bench.train.network import shape_text
from bench.train.network_identity import network_part
from bench.train.outcome import Outcome
from bench.train.readouts import readout_digest
from bench.train.summary import Summary
from bench.train.timing import Sample


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the rows of one run share: its name and design, and the digests of data, engine and machine."""

    run: str
    design: str
    data: str
    code: str
    machine: str


@dataclass(frozen=True, slots=True)
class Named:
    """A trial, its key, and the digests that the key is made of; `training` says what its training digest is made
    of."""

    trial: Trial
    key: str
    parts: Parts
    training: Mapping[str, str]


def name_trials(trials: Iterable[Trial], data: Data, data_digest: str) -> Iterator[Named]:
    """The trials with their keys, in their order; what those share that differ in their seed alone is found once.
    `data` holds the images that they train on. Raises ValueError for images too small."""
    shared: dict[tuple[Cell, Protocol], tuple[Callable[[int], str], Parts, Mapping[str, str]]] = {}
    for trial in trials:
        if (trial.cell, trial.protocol) not in shared:
            training = training_parts(
                trial, stacks=trial.protocol.device == "cpu" or stacks(trial.cell, data), data=data
            )
            network = network_part(trial.cell, data.input_shape, data.classes)
            parts = Parts(network, training_digest(training), data_digest)
            shared[trial.cell, trial.protocol] = trial_keys(trial, parts), parts, training
        keys, parts, training = shared[trial.cell, trial.protocol]
        yield Named(trial, keys(trial.seed), parts, training)


def trial_row(trained: Trained, named: Named, summary: Summary, provenance: Provenance, data: Data) -> TrialRow:
    """The row of a trial, whatever came of it. Only one that is done has accuracies."""
    trial, outcome = trained.trial, trained.outcome
    protocol = trial.protocol
    curve = outcome.curve if outcome is not None and outcome.status == "done" else ()
    last = curve[-1] if curve else None
    on_test = last if protocol.val == 0 else None
    on_val = last if protocol.val > 0 else None
    seconds = outcome.train_seconds if outcome is not None else None
    images = outcome.train_images if outcome is not None else None
    trained_images = len(outcome.curve) * (images or len(data.train)) if outcome is not None else 0
    began = outcome.began if outcome is not None else None
    return TrialRow(
        schema=SCHEMA,
        trial=named.key,
        run=provenance.run,
        design=provenance.design,
        dataset=protocol.dataset,
        architecture=trial.cell.architecture,
        levels=written_levels(trial.cell.levels),
        seed=trial.seed,
        epochs=protocol.epochs,
        batch_size=protocol.batch_size,
        optimizer=protocol.optimizer,
        lr=trial.lr,
        selected_lr=trial.selected_lr,
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
        input=shape_text(data.input_shape),
        classes=data.classes,
        network=named.parts.network,
        training=named.parts.training,
        data=named.parts.data,
        code=provenance.code,
        machine=trained.machine.machine if trained.machine else provenance.machine,
        study=catalogue().name or None,
        source=catalogue().digest or None,
        train_accuracy_undistorted=outcome.undistorted_accuracy if outcome is not None else None,
        train_loss_undistorted=outcome.undistorted_loss if outcome is not None else None,
        train_images=images,
        phase=began.data if began else None,
        phase_updates=began.updates if began else None,
        phase_seconds=began.seconds if began else None,
        teacher_seconds=outcome.teacher_seconds if outcome is not None else None,
        training_parameters=summary.training_parameters if summary.training_parameters != summary.parameters else None,
    )


def adopted_row(record: Mapping[Any, Any], named: Named, provenance: Provenance) -> TrialRow:
    """The row of a trial that is recorded, as `record` of a frame of trials, under another cell's name."""
    values = {
        field.name: from_frame(record[field.name], field.type) for field in fields(TrialRow) if field.name != "levels"
    }
    values |= {"schema": SCHEMA, "run": provenance.run, "design": provenance.design}
    levels = written_levels(named.trial.cell.levels)
    return TrialRow(**values | {"architecture": named.trial.cell.architecture, "levels": levels})


def epoch_rows(named: Named, outcome: Outcome) -> list[EpochRow]:
    """The learning curve. Under a protocol that holds images out, the test columns stay empty."""
    held_out = named.trial.protocol.val > 0
    return [
        EpochRow(
            trial=named.key,
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


def correct_row(named: Named, outcome: Outcome, test: Split) -> CorrectRow:
    """Which test images a finished trial got right."""
    right = np.array(outcome.predicted) == test.labels.numpy()
    return CorrectRow(named.key, len(right), base64.b64encode(np.packbits(right).tobytes()).decode())


def predicted_row(named: Named, outcome: Outcome, test: Split) -> PredictedRow:
    """What a finished trial took the test images for that it got wrong."""
    predicted = np.array(outcome.predicted)
    taken = predicted[predicted != test.labels.numpy()]
    return PredictedRow(named.key, len(taken), packed_classes(taken) or None)


def readout_rows(named: Named, outcome: Outcome, held_out: Split, provenance: Provenance) -> list[ReadoutRow]:
    """How good the readouts of a finished trial are."""
    labels = held_out.labels.numpy()
    known = known_readouts()
    return [
        ReadoutRow(
            trial=named.key,
            run=provenance.run,
            readout=name,
            code=readout_digest(name),
            images=len(labels),
            **asdict(quality(predicted, labels)),
            networks=known[name].networks,
            passes=known[name].passes,
        )
        for name, predicted in outcome.readouts.items()
    ]


def labels_row(test: Split, provenance: Provenance) -> LabelsRow:
    """The labels of the test images."""
    return LabelsRow(provenance.data, len(test), packed_classes(test.labels.numpy()))


def confusion_row(named: Named, outcome: Outcome, test: Split, classes: int) -> ConfusionRow:
    """How often a finished trial took each class for each other."""
    pairs = np.stack([test.labels.numpy(), np.array(outcome.predicted)])
    different, counts = np.unique(pairs, axis=1, return_counts=True)
    texts = [f"{true}:{predicted}:{count}" for (true, predicted), count in zip(different.T, counts, strict=True)]
    return ConfusionRow(named.key, classes, " ".join(texts))


def image_row(index: int, test: Split, provenance: Provenance) -> ImageRow:
    """A test image as it is."""
    pixels = test.images[index].permute(1, 2, 0).squeeze(2).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png", optimize=True)
    return ImageRow(provenance.data, index, int(test.labels[index]), base64.b64encode(file.getvalue()).decode())


def speed_row(sample: SpeedSample, trial: Trial, provenance: Provenance) -> SpeedRow:
    """A sample of training speed of the trial's network."""
    return SpeedRow(
        run=provenance.run,
        arm=sample.arm,
        architecture=sample.cell.architecture,
        levels=_timed_levels(sample.cell, "train"),
        loader_workers=sample.loader_workers,
        processes=sample.processes,
        threads=sample.threads,
        batch_size=trial.protocol.batch_size,
        round=sample.round,
        images=sample.images,
        seconds=sample.seconds,
        memory_bytes=sample.memory_bytes,
        training_bytes=sample.training_bytes,
        precision=sample.precision,
        device=trial.protocol.device,
        code=provenance.code,
        machine=provenance.machine,
        step_macs=sample.step_macs,
        peak_flops=None if sample.peak is None else sample.peak.flops,
        copied_bytes=None if sample.peak is None else sample.peak.copied,
    )


def timing_row(sample: Sample, trial: Trial, provenance: Provenance) -> TimingRow:
    """A timing sample under the protocol of `trial`, taken with one thread."""
    return TimingRow(
        run=provenance.run,
        metric=sample.metric,
        architecture=sample.cell.architecture,
        levels=_timed_levels(sample.cell, sample.metric),
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


def _timed_levels(cell: Cell, metric: str) -> dict[str, str | float | None]:
    """The levels that a time depends on: of a network alone those that change it."""
    written = written_levels(cell.levels)
    return {
        factor.column: written[factor.column]
        for factor in catalogue().factors
        if factor.changes_network or (metric == "train" and factor.changes_step)
    }
