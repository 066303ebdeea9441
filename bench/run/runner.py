"""Runs what a plan asks for and the store lacks; times networks afterwards, when nothing else runs."""

import datetime
import math
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.errors import BenchError, UsageError
from bench.plan.catalogue import catalogue, written_levels
from bench.plan.cells import Cell, preset_cell, recorded_cell
from bench.plan.proposing import Static
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.machine import this_machine
from bench.record.schema import MachineRow, Row
from bench.record.store import SELECTION, Store
from bench.run.code import code_digest
from bench.run.compiling import compile_ahead
from bench.run.countdown import Countdown
from bench.run.executor import Executor, Open
from bench.run.interrupt import held_back
from bench.run.networks import cell_summary
from bench.run.phases import NOT_HERE, check_beginning, images_an_epoch, phases_to_learn, with_others
from bench.run.progress import Progress
from bench.run.rows import (
    Named,
    Provenance,
    adopted_row,
    confusion_row,
    correct_row,
    epoch_rows,
    image_row,
    labels_row,
    name_trials,
    predicted_row,
    readout_rows,
    timing_row,
    trial_row,
)
from bench.run.training import train_all
from bench.run.worker import Trained, use_one_thread
from bench.sources.dataset import find_dataset
from bench.train.data import Data
from bench.train.device import cpu_vectors, gpu_and_cuda
from bench.train.fit import check_batches
from bench.train.network import NetworkError
from bench.train.network_identity import network_part
from bench.train.readouts import readout_digest
from bench.train.recipe import recipe_of
from bench.train.summary import Summary
from bench.train.timing import seconds_per_image, time_networks, timing_steps

TIMING_ROUNDS = 5

# A backward pass costs about twice a forward pass, so measuring an image costs about a third of training on it.
FORWARD_SHARE = 1 / 3


@dataclass(frozen=True)
class Run:
    """Trials on one data set, and where their rows belong.

    Rows measured on held-out training images go to a file of their own. `named` has the trials with their keys, in the
    plan's order. Two cells that are the same but for their names share a key: one is trained, and both have a row.
    `left_out` are cells that can't be trained on these data. `designs` are those of trials that are of another design
    than the run's.
    """

    named: tuple[Named, ...]
    data: Data
    store: Store
    provenance: Provenance
    machine: MachineRow
    left_out: tuple[Cell, ...] = ()
    designs: Mapping[Trial, str] = field(default_factory=dict)

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """The trials, in the plan's order."""
        return tuple(named.trial for named in self.named)

    @property
    def protocol(self) -> Protocol:
        """What the plan's cells are trained under; their siblings are at other rates."""
        return self.trials[0].protocol

    @property
    def step(self) -> float:
        """What an accuracy moves in: one image of those that are measured on."""
        return 1 / len(self.data.held_out)

    @cached_property
    def own_keys(self) -> frozenset[str]:
        """The keys of all trials but siblings: what a report on this run is about."""
        return frozenset(named.key for named in self.named if named.trial.protocol == self.protocol)

    @cached_property
    def by_trial(self) -> dict[Trial, Named]:
        """The trials with their keys."""
        return {named.trial: named for named in self.named}

    def missing(self, retry_failed: bool = False) -> list[Trial]:
        """The trials to train, in the plan's order: those whose key no row has, one a key, those that lack a readout
        asked for, and with `retry_failed` those whose row says that they failed."""
        recorded = self.results(retry_failed)
        lacking: dict[str, Trial] = {}
        for trial in Static(self.trials).propose(recorded):
            lacking.setdefault(self.by_trial[trial].key, trial)
        return list(lacking.values())

    def results(self, retry_failed: bool = False) -> dict[Trial, float | None]:
        """What came of the trials that have a row and every readout asked for: the accuracy that they are measured by,
        None of one that isn't done; with `retry_failed` without those that failed."""
        of_key = self.outcomes(retry_failed)
        return {named.trial: of_key[named.key] for named in self.named if named.key in of_key}

    def outcomes(self, retry_failed: bool = False) -> dict[str, float | None]:
        """As `results`, by key, of whichever trials have rows beside this run's."""
        rows = self.store.trials()
        kept = rows[rows["status"] != "failed"] if retry_failed else rows
        kept = kept[~kept["trial"].isin(self.unread())]
        accuracy = kept["val_accuracy" if self.protocol.val else "test_accuracy"].astype(float)
        reached = zip(kept["trial"], accuracy, strict=True)
        return {str(key): None if math.isnan(one) else one for key, one in reached}

    def asking(self, trials: Sequence[Trial]) -> "Run":
        """The same run with other trials, of cells that it has already or whose network can be built."""
        return replace(self, named=tuple(name_trials(trials, self.data, self.provenance.data)))

    def unread(self) -> set[str]:
        """The keys of the trials that are done and lack a readout that is asked for, as today's code reads it."""
        asked = [(name, readout_digest(name)) for name in self.protocol.readouts]
        if not asked:
            return set()
        rows, trials = self.store.readouts(), self.store.trials()
        read = set(zip(rows["trial"], rows["readout"], rows["code"], strict=True))
        done = set(trials.loc[trials["status"] == "done", "trial"])
        keys = {named.key for named in self.named} & done
        return {key for key in keys if any((key, *readout) not in read for readout in asked)}

    def adopt(self) -> None:
        """Gives a row to each trial whose key is recorded under another architecture's name or levels only."""
        rows = self.rows()
        have = set(zip(rows["trial"], _cells(rows), strict=True))
        lacking = [named for named in self.named if (named.key, named.trial.cell) not in have]
        recorded = self.store.trials()
        others = recorded[recorded["trial"].isin({named.key for named in lacking})]
        by_key = {row["trial"]: row for row in others.to_dict("records")}
        for named in lacking:
            if named.key in by_key:
                self.store.add_trial(adopted_row(by_key[named.key], named, self.provenance))

    def rows(self, protocol: Protocol | None = None) -> pd.DataFrame:
        """The recorded rows of this run's trials, of those under `protocol` where one is given, whichever run made
        them; of several tries the last."""
        rows = self.store.trials()
        wanted = {(named.key, named.trial.cell) for named in self.named if protocol in (None, named.trial.protocol)}
        rows = rows[rows["trial"].isin({key for key, _ in wanted})]
        own = [pair in wanted for pair in zip(rows["trial"], _cells(rows), strict=True)]
        rows = rows[np.array(own, dtype=bool)]
        return rows.drop_duplicates(["trial", "architecture", *catalogue().columns], keep="last")

    def timings(self) -> pd.DataFrame:
        """The recorded samples of this machine, this code and this run's protocol."""
        rows = self.store.timings()
        protocol = self.protocol
        return rows[
            (rows["code"] == self.provenance.code)
            & (rows["machine"] == self.provenance.machine)
            & (rows["optimizer"] == protocol.optimizer)
            & (rows["precision"] == protocol.precision)
            & (rows["device"] == protocol.device)
            & ((rows["metric"] != "train") | (rows["batch_size"] == protocol.batch_size))
        ]

    def untimed(self) -> list[Trial]:
        """What is to be timed together: the networks of every architecture of which one was not timed in enough
        rounds of its preset, and the preset, which is what a report compares the others with."""
        timings = self.timings()
        switches = catalogue().step_columns
        rows = timings[timings["metric"] == "train"].groupby(["architecture", *switches])
        rounds = {network: set(zip(of["run"], of["round"], strict=True)) for network, of in rows}

        def rounds_of(cell: Cell) -> set[tuple[Any, Any]]:
            levels = written_levels(cell.levels)
            return rounds.get((cell.architecture, *(levels[switch] for switch in switches)), set())

        cells = {trial.cell: trial for trial in reversed(self.trials)}
        shared = {cell: rounds_of(cell) & rounds_of(preset_cell(cell.architecture)) for cell in cells}
        apart = {cell.architecture for cell in cells if len(shared[cell]) < TIMING_ROUNDS}
        presets = [replace(self.trials[0], cell=preset_cell(name)) for name in sorted(apart)]
        return [*presets, *(trial for cell, trial in reversed(cells.items()) if cell.architecture in apart)]


def _cells(rows: pd.DataFrame) -> list[Cell | None]:
    """The cell of each row; None for levels that there are not."""
    names = ["architecture", *catalogue().columns]
    return [recorded_cell(values) for values in rows[names].itertuples(index=False, name=None)]


def prepare_run(trials: Sequence[Trial], design: str, data_dir: Path, results: Path) -> Run:
    """Loads the data and names the trials. All must share data set and `val`. Raises BenchError."""
    protocol = trials[0].protocol
    full = find_dataset(protocol.dataset).load(data_dir)
    store = Store(results / protocol.dataset, SELECTION if protocol.val else "trials.csv")
    held = full.hold_out(protocol.val) if protocol.val else full
    data, absent = with_others(held, trials, data_dir, store.folder)
    machine = this_machine(*gpu_and_cuda(protocol.device), cpu_vectors())
    now = datetime.datetime.now(datetime.UTC)
    provenance = Provenance(
        run=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
        design=design,
        data=full.digest,
        code=code_digest(),
        machine=machine.machine,
    )
    failed = _not_here(trials, data, absent)
    buildable = [trial for trial in trials if trial.cell not in failed]
    for trial in {(trial.cell.network, trial.protocol.batch_size): trial for trial in buildable}.values():
        check_batches(trial, data)
    named = tuple(name_trials(buildable, data, full.digest))
    return Run(named, data, store, provenance, machine, tuple(failed))


def _not_here(trials: Sequence[Trial], data: Data, absent: Mapping[str, BenchError]) -> dict[Cell, UsageError]:
    """The cells that can't be trained on these data, and why: their network can't be built on them, or there isn't what
    they begin with. Says it in a line an architecture, or a line a reason. Raises the first reason where no cell can be
    trained, or none of those that begin with something of their own."""
    failed: dict[Cell, UsageError] = {}
    cells = {trial.cell: trial for trial in reversed(trials)}
    for cell, trial in reversed(cells.items()):
        try:
            network_part(cell, data.input_shape, data.classes)
            check_beginning(trial, data, absent)
        except (NetworkError, *NOT_HERE) as error:
            failed[cell] = error
    begin_otherwise = {cell for cell, trial in cells.items() if recipe_of(trial).start is not None}
    if failed and (len(failed) == len(cells) or (begin_otherwise and begin_otherwise <= failed.keys())):
        raise next(iter(failed.values()))
    groups: dict[str, list[Cell]] = {}
    for cell, reason in failed.items():
        groups.setdefault(cell.architecture if isinstance(reason, NetworkError) else str(reason), []).append(cell)
    for about, left in groups.items():
        whose = f" of {about}" if isinstance(failed[left[0]], NetworkError) else f" as {left[0].label}"
        more = f" (and {len(left) - 1} more cells{whose})" if len(left) > 1 else ""
        print(f"bench: left out: {failed[left[0]]}{more}", file=sys.stderr)
    return failed


def expected_seconds(trials: Sequence[Trial], data: Data) -> dict[Cell, float]:
    """What one trial of each cell should take in one worker, from a few timed steps on this machine now, without the
    phase that it may begin with and without its teachers' learning: `phase_seconds` has those.

    Without a GPU here, for trials that train on a cluster's, all count alike: finished ones correct it."""
    if trials[0].protocol.device == "cuda" and not torch.cuda.is_available():
        return {trial.cell: 1.0 for trial in trials}
    use_one_thread()
    cost = seconds_per_image(trials, data)
    return {trial.cell: cost[trial.cell] * _images_of(trial, data) for trial in trials}


def phase_seconds(trials: Sequence[Trial], data: Data, expected: Mapping[Cell, float]) -> float:
    """What the phases and the teachers that the trials begin with should take in one worker, each once and without
    those that are kept: as long an image as a trial of their cell, of which `expected` may say what it takes."""
    phases = phases_to_learn(trials, data).values()
    alike = {trial.cell: trial for trial in [*(phase.trial for phase in phases), *trials]}
    if others := [trial for cell, trial in alike.items() if cell not in expected]:
        expected = {**expected, **expected_seconds(others, data)}
    return sum(
        expected[phase.trial.cell]
        * phase.trial.protocol.epochs
        * len(phase.data.train)
        / _images_of(alike[phase.trial.cell], data)
        for phase in phases
    )


def _images_of(trial: Trial, data: Data) -> float:
    return images_counted(trial.protocol, images_an_epoch(trial, data), data)


def images_counted(protocol: Protocol, an_epoch: int, data: Data) -> float:
    """How many images a training on so many an epoch sees, those that it is measured on counted as what they cost
    beside them."""
    return protocol.epochs * (an_epoch + FORWARD_SHARE * len(data.held_out))


def train_missing(run: Run, missing: Sequence[Trial], open_executor: Open) -> None:
    """Trains the missing trials in an executor and records each as it finishes."""
    compile_ahead(missing[0].protocol)
    expected = expected_seconds(missing, run.data)
    with open_executor(run.data, len(missing)) as executor:
        train_in(executor, run, missing, expected)


def train_in(
    executor: Executor, run: Run, missing: Sequence[Trial], expected: Mapping[Cell, float], about: str = ""
) -> None:
    """The same in an executor that is open, which goes on being so. `expected` is what one trial of each cell should
    take; progress begins with `about`."""
    stacks = stacked(missing, executor.slots)
    progress = Progress(missing, expected, min(max(executor.slots, 1), len(stacks)), about)

    def record_one(trained: Trained) -> None:
        record(run, trained)
        progress.finished(trained)

    try:
        with held_back() as interrupts:
            train_all(stacks, executor, record_one, progress.tick, interrupts)
    finally:
        progress.close()
    run.adopt()


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
    """Writes the rows of a trial, with the machine that trained it and what its training digest is made of."""
    run.store.add_machine(trained.machine or run.machine)
    trial, outcome = trained.trial, trained.outcome
    named = run.by_trial[trial]
    run.store.add_parts(named.parts.training, named.training)
    if run.data.class_names is not None:
        run.store.add_class_names(run.provenance.data, run.data.class_names)
    if outcome is not None and outcome.readouts and trial.protocol.val == 0:
        run.store.add_probabilities(named.key, outcome.readouts)
        run.store.add_labels(labels_row(run.data.held_out, run.provenance))
    read = readout_rows(named, outcome, run.data.held_out, run.provenance) if outcome is not None else []
    if named.key in run.unread():
        # It was trained again for what wasn't read out of it; its own row stays.
        run.store.add_readouts(read)
        if not read:
            said = trained.error or "it diverged"
            print(f"bench: {trial.label} seed {trial.seed} could not be read out: {said}", file=sys.stderr)
        return
    provenance = replace(run.provenance, design=run.designs.get(trial, run.provenance.design))
    row = trial_row(trained, named, network_summary(trial.cell, run.data), provenance, run.data)
    details: list[Row] = [*read]
    if outcome is not None:
        details += epoch_rows(named, outcome)
        if outcome.status == "done" and trial.protocol.val == 0:
            details.append(correct_row(named, outcome, run.data.held_out))
            details.append(predicted_row(named, outcome, run.data.held_out))
            details.append(confusion_row(named, outcome, run.data.held_out, run.data.classes))
            run.store.add_labels(labels_row(run.data.held_out, run.provenance))
    run.store.add_trial(row, details)


def record_images(run: Run, indices: Sequence[int]) -> None:
    """Writes the test images at `indices` that no row holds yet, and what classes are called if no run has."""
    known = run.store.images()
    recorded = set(known.loc[known["data"] == run.provenance.data, "image"])
    new = [index for index in indices if index not in recorded]
    with run.store.lock():
        run.store.add_images(image_row(index, run.data.held_out, run.provenance) for index in new)
        if run.data.class_names is not None:
            run.store.add_class_names(run.provenance.data, run.data.class_names)


def time_trials(run: Run, untimed: Sequence[Trial]) -> None:
    """Times the trials' networks in this process, with one thread; says on stderr how far it is."""
    use_one_thread()
    run.store.add_machine(run.machine)
    with Countdown(timing_steps(untimed, TIMING_ROUNDS), "timing the networks") as progress:
        samples = time_networks(untimed, run.data, TIMING_ROUNDS, progress.done)
    run.store.add_timings(timing_row(sample, untimed[0], run.provenance) for sample in samples)


def network_summary(cell: Cell, data: Data) -> Summary:
    """Parameters, MACs and receptive field of the cell's network on this data."""
    return cell_summary(cell, data.input_shape, data.classes)
