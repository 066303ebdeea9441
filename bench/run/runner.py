"""Runs what a plan asks for and the store lacks; times networks afterwards, when nothing else runs."""

import datetime
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from architectures.summary import Summary, summarise
from bench.errors import UsageError
from bench.plan.cells import Cell, find_architecture, preset_cell
from bench.plan.factors import written_levels
from bench.plan.trials import Trial
from bench.record.machine import this_machine
from bench.record.schema import MachineRow, Row
from bench.record.store import Store
from bench.run.code import code_digest
from bench.run.executor import Open
from bench.run.interrupt import held_back
from bench.run.progress import Progress
from bench.run.rows import (
    Provenance,
    confusion_row,
    correct_row,
    epoch_rows,
    image_row,
    timing_row,
    trial_row,
)
from bench.run.training import train_all
from bench.run.worker import Trained, use_one_thread
from bench.train.data import Data
from bench.train.datasets import find_dataset
from bench.train.device import gpu_and_cuda
from bench.train.timing import seconds_per_image, time_networks

TIMING_ROUNDS = 5

# A backward pass costs about twice a forward pass, so measuring an image costs about a third of training on it.
FORWARD_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Run:
    """Trials on one data set, and where their rows belong.

    Rows measured on held-out training images go to a file of their own. `keys` names the trials, in their order.
    """

    trials: tuple[Trial, ...]
    keys: tuple[str, ...]
    data: Data
    store: Store
    provenance: Provenance
    machine: MachineRow

    def missing(self, retry_failed: bool = False) -> list[Trial]:
        """The trials without a row, in the plan's order; with `retry_failed` also those whose row says that they
        failed."""
        rows = self.rows()
        kept = rows[rows["status"] != "failed"] if retry_failed else rows
        recorded = set(kept["trial"])
        return [t for t, key in zip(self.trials, self.keys, strict=True) if key not in recorded]

    def rows(self) -> pd.DataFrame:
        """The recorded rows of this run's trials, whichever run made them; of several tries the last."""
        rows = self.store.trials()
        return rows[rows["trial"].isin(self.keys)].drop_duplicates("trial", keep="last")

    def timings(self) -> pd.DataFrame:
        """The recorded samples of this machine, this code and this run's protocol."""
        rows = self.store.timings()
        protocol = self.trials[0].protocol
        return rows[
            (rows["code"] == self.provenance.code)
            & (rows["machine"] == self.provenance.machine)
            & (rows["optimizer"] == protocol.optimizer)
            & (rows["precision"] == protocol.precision)
            & (rows["device"] == protocol.device)
            & ((rows["metric"] != "train") | (rows["batch_size"] == protocol.batch_size))
        ]

    def untimed(self) -> list[Trial]:
        """What is to be timed together: the networks of every architecture of which one was not timed in the rounds of
        its preset, and the preset, which is what a report compares the others with."""
        timings = self.timings()
        switches = ["batch_norm", "gap", "dropout", "augmentation"]
        rows = timings[timings["metric"] == "train"].groupby(["architecture", *switches])
        rounds = {network: set(zip(of["run"], of["round"], strict=True)) for network, of in rows}

        def rounds_of(cell: Cell) -> set[tuple[Any, Any]]:
            levels = written_levels(cell.levels)
            return rounds.get((cell.architecture, *(levels[switch] for switch in switches)), set())

        apart = {
            trial.cell.architecture
            for trial in self.trials
            if not rounds_of(trial.cell) & rounds_of(preset_cell(trial.cell.architecture))
        }
        presets = [replace(self.trials[0], cell=preset_cell(name)) for name in sorted(apart)]
        return [*presets, *(trial for trial in self.trials if trial.cell.architecture in apart)]


def prepare_run(trials: Sequence[Trial], design: str, data_dir: Path, results: Path) -> Run:
    """Loads the data and names the trials. All must share data set and `val`. Raises BenchError."""
    protocol = trials[0].protocol
    full = find_dataset(protocol.dataset).load(data_dir)
    data = full.hold_out(protocol.val) if protocol.val else full
    for trial in trials:
        if trial.protocol.batch_size > len(data.train):
            raise UsageError(
                f"--batch-size {trial.protocol.batch_size} is larger than the "
                f"{len(data.train)} training images of {data.name}"
            )
    machine = this_machine(*gpu_and_cuda(protocol.device))
    now = datetime.datetime.now(datetime.UTC)
    provenance = Provenance(
        run=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
        design=design,
        data=full.digest,
        code=code_digest(protocol.device),
        machine=machine.machine,
    )
    file = "selection.csv" if protocol.val else "trials.csv"
    return Run(
        trials=tuple(trials),
        keys=tuple(provenance.key(trial) for trial in trials),
        data=data,
        store=Store(results / protocol.dataset, file),
        provenance=provenance,
        machine=machine,
    )


def expected_seconds(trials: Sequence[Trial], data: Data) -> dict[Cell, float]:
    """What one trial of each cell should take in one worker, from a few timed steps on this machine now.
    Without a GPU here, for trials that train on a cluster's, all count alike: finished ones correct it."""
    if trials[0].protocol.device == "cuda" and not torch.cuda.is_available():
        return {trial.cell: 1.0 for trial in trials}
    use_one_thread()
    cost = seconds_per_image(trials, data)
    return {
        trial.cell: cost[trial.cell] * trial.protocol.epochs * (len(data.train) + FORWARD_SHARE * len(data.held_out))
        for trial in trials
    }


def train_missing(run: Run, missing: Sequence[Trial], open_executor: Open) -> None:
    """Trains the missing trials in an executor and records each as it finishes."""
    with open_executor(run.data, len(missing)) as executor:
        stacks = stacked(missing, executor.slots)
        progress = Progress(missing, expected_seconds(missing, run.data), min(max(executor.slots, 1), len(stacks)))

        def record_one(trained: Trained) -> None:
            record(run, trained)
            progress.finished(trained)

        try:
            with held_back() as interrupts:
                train_all(stacks, executor, record_one, progress.tick, interrupts)
        finally:
            progress.close()


def stacked(trials: Sequence[Trial], slots: int = 1) -> list[Sequence[Trial]]:
    """The trials as stacks. On a CPU each trains alone, which is faster; on a GPU all whose networks have the same
    shapes together, in as many parts as give each of the executor's slots one."""
    if trials[0].protocol.device == "cpu":
        return [[trial] for trial in trials]
    by_shape: dict[object, list[Trial]] = {}
    for trial in trials:
        by_shape.setdefault(trial.stack_key, []).append(trial)
    parts = math.ceil(slots / len(by_shape))
    return [part for same in by_shape.values() for part in _parts(same, min(parts, len(same)))]


def _parts(trials: Sequence[Trial], count: int) -> list[Sequence[Trial]]:
    bounds = [len(trials) * number // count for number in range(count + 1)]
    return [trials[start:end] for start, end in pairwise(bounds)]


def record(run: Run, trained: Trained) -> None:
    """Writes the rows of a trial, with the machine that trained it."""
    run.store.add_machine(trained.machine or run.machine)
    trial, outcome = trained.trial, trained.outcome
    row = trial_row(trained, network_summary(trial.cell, run.data), run.provenance, len(run.data.train))
    details: list[Row] = []
    if outcome is not None:
        details += epoch_rows(trial, outcome, run.provenance)
        if outcome.status == "done" and trial.protocol.val == 0:
            details.append(correct_row(trial, outcome, run.data.held_out, run.provenance))
            details.append(confusion_row(trial, outcome, run.data.held_out, run.data.classes, run.provenance))
    run.store.add_trial(row, details)


def record_images(run: Run, indices: Sequence[int]) -> None:
    """Writes the test images at `indices` that no row holds yet."""
    known = run.store.images()
    recorded = set(known.loc[known["data"] == run.provenance.data, "image"])
    new = [index for index in indices if index not in recorded]
    if new:
        with run.store.lock():
            run.store.add_images(image_row(index, run.data.held_out, run.provenance) for index in new)


def time_trials(run: Run, untimed: Sequence[Trial]) -> None:
    """Times the trials' networks in this process, with one thread."""
    use_one_thread()
    run.store.add_machine(run.machine)
    samples = time_networks(untimed, run.data, TIMING_ROUNDS)
    run.store.add_timings(timing_row(sample, untimed[0], run.provenance) for sample in samples)


def network_summary(cell: Cell, data: Data) -> Summary:
    """Parameters, MACs and receptive field of the cell's network on this data."""
    return _summary(cell, data.input_shape, data.classes)


@cache
def _summary(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> Summary:
    return summarise(find_architecture(cell.architecture), cell.levels, input_shape, classes)
