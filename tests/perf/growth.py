"""What grows with a study, and how fast: `python -m tests.perf.growth --trials 100000 --recorded 10000 --cells 1000`.

Prints seconds of planning trials and naming them, of setting up and recording them without training, of starting
workers, with a worker's memory, and of a report, each for more and more of them; and how fast each grows: the exponent
k of n to the power k, fitted to the last three sizes, where what happens once weighs least. More than LINEAR is said to
grow faster than linear, and the exit code is 1.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from tabulate import tabulate

from bench.plan.catalogue import catalogue, use
from bench.plan.designs import factorial
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, trials
from bench.record.machine import usable_cores
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.show.write import write_report
from bench.run.memory import Memory, forget_peak, peak_memory
from bench.run.networks import network_today
from bench.run.overhead import seconds_untrained
from bench.run.pool import share_memory
from bench.run.runner import Run, prepare_run
from bench.run.together import Processes
from bench.run.travel import packed
from bench.run.worker import start_worker, worker_data
from bench.train.fit import begin
from tests.perf.rows import DATASET, many_models, write_many_rows

# Above what noise makes of linear growth.
LINEAR = 1.15
_MARGIN = 0.0005
_IMAGES = 200

Line = tuple[str, int, float, float | None]


def main(arguments: Sequence[str]) -> int:
    """1 where something grows faster than linear."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000, help="the most that are planned")
    parser.add_argument("--recorded", type=int, default=1000, help="the most that are recorded")
    parser.add_argument("--workers", type=int, default=min(16, usable_cores()), help="the most that are started")
    parser.add_argument("--cells", type=int, default=1000, help="the most that a report has")
    given = parser.parse_args(arguments)
    measured = {
        "planning trials": [_said(_planned(count)) for count in _sizes(10, given.trials)],
        "recording trials": [_said(line) for line in _recorded(_sizes(10, given.recorded))],
        "starting workers": [_said(_started(count)) for count in _doubled(given.workers)],
        "reporting cells": [_said(_reported(count)) for count in _sizes(1, given.cells)],
    }
    lines = [line for of_what in measured.values() for line in of_what]
    table = [(what, n, seconds, 1000 * seconds / n, memory) for what, n, seconds, memory in lines]
    headers = ("what", "n", "seconds", "ms each", "MB each")
    print(tabulate(table, headers, floatfmt=("", ",", ".2f", ".2f", ",.0f"), intfmt=",", missingval=""))
    faster = False
    for what, of_what in measured.items():
        if len(of_what) < 2:
            continue
        exponent = growth([n for _, n, *_ in of_what], [seconds for _, _, seconds, _ in of_what])
        faster |= exponent > LINEAR
        print(f"{what}: n to the power {exponent:.2f}{': faster than linear' if exponent > LINEAR else ''}")
    return int(faster)


def _said(line: Line) -> Line:
    what, n, seconds, _ = line
    print(f"  {what}, {n:,}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return line


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The exponent of a power law through the last three points."""
    return float(np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0])


def _sizes(first: int, most: int) -> list[int]:
    return [first * 10**power for power in range(1 + math.floor(math.log10(max(most / first, 1)) + 1e-9))]


def _doubled(most: int) -> list[int]:
    return [2**power for power in range(1 + math.floor(math.log2(most)))]


def _planned(count: int) -> Line:
    cells = list(factorial(list(catalogue().architectures), catalogue().factors))
    with TemporaryDirectory() as folder:
        start = perf_counter()
        planned = list(trials(cells, -(-count // len(cells)), Protocol(DATASET)))[:count]
        run = prepare_run(planned, "factorial", Path("unused"), Path(folder))
        if len(run.missing()) != len(planned):
            raise RuntimeError("an empty folder lacks every trial")
        return "planning trials", count, perf_counter() - start, None


def _recorded(counts: Sequence[int]) -> Iterator[Line]:
    with TemporaryDirectory() as name:
        run = prepare_run(_few(), "factorial", Path("unused"), Path(name))
        for count in counts:
            yield _recorded_in(run, Path(name) / str(count), count)


def _recorded_in(run: Run, folder: Path, count: int) -> Line:
    planned = [replace(run.trials[0], seed=seed) for seed in range(count)]
    seconds = seconds_untrained(replace(run, store=Store(folder)), planned, usable_cores())
    return "recording trials", count, seconds, None


def _few() -> list[Trial]:
    return list(trials(list(factorial(["model3"], catalogue().factors))[:1], 1, Protocol(DATASET)))


def _started(count: int) -> Line:
    with TemporaryDirectory() as name:
        run = prepare_run(_few(), "factorial", Path("unused"), Path(name))
    share_memory(run.data)
    start = perf_counter()
    with Processes(count, start_worker, run.data, packed()) as workers:
        memories = workers.call(_train_a_step, run.trials[0])
        seconds = perf_counter() - start
    known = [memory.own / 1e6 for memory in memories if memory is not None]
    return "starting workers", count, seconds, sum(known) / len(known) if known else None


def _train_a_step(trial: Trial) -> Memory | None:
    before = forget_peak()
    training = begin([trial], worker_data())
    training.network.train()
    training.step(torch.arange(trial.protocol.batch_size))
    return peak_memory(before)


def _reported(cells: int) -> Line:
    """In a process of its own, which knows so many models; three seeds a cell."""
    with TemporaryDirectory() as name, get_context("spawn").Pool(1) as pool:
        return "reporting cells", cells, pool.apply(_report, (Path(name), cells)), None


def _report(folder: Path, cells: int) -> float:
    use(many_models(cells))
    results = folder / DATASET
    write_many_rows(results, cells, 3, _IMAGES)
    start = perf_counter()
    evidence = gather(Store(results), DATASET, networks=network_today)
    write_report(Report(evidence, _MARGIN), folder / "report", "python -m tests.perf.growth")
    return perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
