"""What a run costs around the training: trials that are set up, handed over, recorded and counted, but not trained."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bench.plan.trials import Trial
from bench.record.schema import OverheadRow
from bench.record.store import Store
from bench.run.countdown import Countdown
from bench.run.interrupt import held_back
from bench.run.pool import LocalPool
from bench.run.rows import name_trials
from bench.run.runner import Run, record
from bench.run.training import train_all
from bench.run.worker import Trained, utc_now
from bench.train.data import Data
from bench.train.outcome import Epoch, Outcome
from bench.train.single import Training

# How many trials a run has.
COUNTS = (10, 100, 1000)


def measure_overhead(run: Run, workers: int, rounds: int) -> Iterator[OverheadRow]:
    """Runs of COUNTS trials of the run's first cell, in turns, in an empty folder each. Workers are started before.
    Says on stderr how far it is."""
    first, provenance = run.trials[0], run.provenance
    with Countdown([f"{count} trials" for count in COUNTS] * rounds, "timing") as progress:
        for number in range(rounds):
            for count in COUNTS:
                planned = [replace(first, seed=seed) for seed in range(count)]
                with tempfile.TemporaryDirectory() as folder:
                    seconds = seconds_untrained(replace(run, store=Store(Path(folder))), planned, workers)
                progress.done(f"round {number + 1}: {count:,} trials in {seconds:.1f} s")
                yield OverheadRow(provenance.run, count, workers, number, seconds, provenance.code, provenance.machine)


def set_up_only(stack: Sequence[Trial], data: Data) -> list[Trained]:
    """Stands in for training: builds network, optimiser and streams, and makes up the outcome."""
    return [_made_up(Training(trial, data).trial, data) for trial in stack]


def _made_up(trial: Trial, data: Data) -> Trained:
    chance = 1 / data.classes
    curve = tuple(Epoch(n, chance, 2.3, chance, 2.3, trial.lr, 0.0) for n in range(1, trial.protocol.epochs + 1))
    predicted = tuple(torch.zeros(len(data.held_out), dtype=torch.int64).tolist())
    return Trained(trial, Outcome("done", curve, predicted, 1.0), None, utc_now(), None)


def seconds_untrained(run: Run, planned: Sequence[Trial], workers: int) -> float:
    """What it takes to set up, hand over, record and count the trials. Workers are started before."""
    warm_up = [replace(planned[0], seed=len(planned) + number) for number in range(2 * workers)]
    named = tuple(name_trials((*planned, *warm_up), run.data, run.provenance.data))
    run = replace(run, named=named)
    with held_back() as interrupts, LocalPool(workers, run.data, set_up_only) as pool:
        train_all([[trial] for trial in warm_up], pool, lambda trained: record(run, trained), lambda: None, interrupts)
        start = time.perf_counter()
        train_all([[trial] for trial in planned], pool, lambda trained: record(run, trained), lambda: None, interrupts)
        return time.perf_counter() - start
