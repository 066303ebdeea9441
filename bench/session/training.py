"""What training does and prints, from the data set on. Imports torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from bench.errors import InterruptedRunError, UsageError
from bench.interrupted import Terminated
from bench.plan.catalogue import catalogue
from bench.plan.protocol import Device, Protocol
from bench.plan.trials import Trial, arms, counted
from bench.report.summary import outcome_counts, render, summary_table
from bench.run.executor import Executor
from bench.run.pool import LocalPool
from bench.run.progress import format_duration
from bench.run.runner import Run, expected_seconds, phase_seconds, time_trials, train_missing
from bench.run.serial import Serial
from bench.session.recorded import record_run
from bench.session.reports import DEFAULT_MARGIN, margin_option, write_report_on
from bench.session.request import Place
from bench.session.shown import record_shown
from bench.sources.dataset import choose_dataset
from bench.train.data import Data
from bench.train.device import choose_device, gpu_and_cuda, multiplies_bf16


def settle(
    protocol: Protocol,
    dataset: str | None,
    data_dir: Path,
    precision: str | None,
    device: str,
    cluster: bool = False,
) -> Protocol:
    """The protocol with its data set and, where they are auto, its device and precision, which this machine decides;
    says which and why. Raises BenchError."""
    chosen, reason = choose_dataset(dataset, data_dir)
    print(f"Data set: {chosen.name}, {chosen.title} ({reason})")
    trained_on = choose_device(device, elsewhere=cluster)
    if trained_on == "cuda":
        print(f"Device: {gpu_and_cuda(trained_on)[0] or 'GPUs of the cluster'}")
    if (precision or catalogue().defaults.precision) == "auto":
        if trained_on == "cuda" and gpu_and_cuda(trained_on)[0] is None:
            raise UsageError("without a GPU here the cluster's precision is yours to say: --precision bf16 or fp32")
        half = trained_on == "cuda" and multiplies_bf16(trained_on)
        protocol = replace(protocol, precision="bf16" if half else "fp32")
        why = f"auto: {'this GPU has bf16 in hardware' if half else 'the same on every CPU'}"
    else:
        why = "as asked"
    print(f"Precision: {protocol.precision} ({why})", flush=True)
    return replace(protocol, dataset=chosen.name, device=trained_on)


def print_plan(run: Run, place: Place) -> None:
    """Cells, trials and an estimate of the time."""
    missing = run.missing()
    for cell, protocol in arms(run.trials):
        if cell not in run.left_out:
            sibling = "" if protocol == run.protocol else ", that of its preset"
            print(f"  {cell.label}  (lr {protocol.rate(cell):g}{sibling})")
    print(_counts(run, missing))
    if missing:
        seconds = expected_seconds(missing, run.data)
        workers = max(place.workers, 1)
        at_once = min(workers, len(missing))
        first = phase_seconds(missing, run.data, seconds) / at_once
        total = sum(seconds[trial.cell] for trial in missing) / at_once + first
        of_phases = f", {format_duration(first)} of it in what trials begin with" if first else ""
        print(f"About {format_duration(total)} of training with {workers} workers{of_phases}, from a few timed steps.")


def carry_out(
    run: Run,
    place: Place,
    timing: bool,
    retry_failed: bool = False,
    reports: Path | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
    margin: float = DEFAULT_MARGIN / 100,
) -> int:
    """Trains what is missing, times networks, prints the table and writes the report to `reports`; the exit code.

    `given` are the options that the run's file will say, `margin` is the report's, a fraction. Raises
    InterruptedRunError as `train_and_time` does.
    """
    code = train_and_time(run, place, timing, retry_failed, given)
    finish(run, reports, margin)
    return code


def finish(run: Run, reports: Path | None, margin: float = DEFAULT_MARGIN / 100) -> None:
    """Prints the table and writes the report to `reports`, where there is something to report."""
    print_result(run)
    on_test = run.trials[0].protocol.val == 0
    if reports is not None and on_test and outcome_counts(run.rows())["done"]:
        report_on(run, reports, margin)


def train_and_time(
    run: Run,
    place: Place,
    timing: bool,
    retry_failed: bool = False,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Trains what is missing and times networks; the exit code. What was resolved stands beside the rows first, with
    the options as `given`. Ctrl-C and SIGTERM keep what is finished, and raise InterruptedRunError."""
    device = run.trials[0].protocol.device
    if timing and device == "cuda" and gpu_and_cuda(device)[0] is None:
        raise UsageError("--timing times the networks on this machine, which has no GPU: leave it out")
    missing = run.missing(retry_failed)
    print(_counts(run, missing), flush=True)
    if not missing and not (timing and run.untimed()):
        return exit_code(run)
    with (
        interruptible(lambda: f"{len(run.missing())} of {len(run.trials)} trials missing"),
        run.store.lock(),
    ):
        record_run(run, given)
        run.adopt()
        if missing := run.missing(retry_failed):
            train_missing(run, missing, partial(executor_at, place, device))
        if timing:
            time_networks(run)
    return exit_code(run)


@contextmanager
def interruptible(where: Callable[[], str]) -> Iterator[None]:
    """Within it Ctrl-C and SIGTERM raise InterruptedRunError, which says where the run stands."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as signalled:
        raise InterruptedRunError(
            f"interrupted with {where()}; run the same command again to go on",
            143 if isinstance(signalled, Terminated) else 130,
        ) from None


def time_networks(run: Run) -> None:
    """Times the networks of which there are no times yet."""
    if untimed := run.untimed():
        time_trials(run, untimed)


def print_result(run: Run) -> None:
    """The table, what didn't finish, and where the rows are."""
    rows = run.rows()
    print()
    print(render(_result_table(run)))
    print()
    counts = outcome_counts(rows)
    if counts["diverged"] or counts["failed"]:
        print(f"{counts['diverged']} trials diverged and {counts['failed']} failed; they count in no mean.")
        for _, row in rows[rows["status"] == "failed"].drop_duplicates("error").iterrows():
            print(f"  failed: {row['error']}")
    print(f"Rows: {run.store.trials_path}")


def _result_table(run: Run) -> pd.DataFrame:
    """A line per cell, and one for its sibling at its preset's rate where it has one."""
    labels = arms(run.trials)
    timings = run.timings()
    lines: dict[str, dict[Any, Any]] = {}
    for protocol in dict.fromkeys(under for _, under in labels):
        cells = [cell for cell, under in labels if under == protocol]
        table = summary_table(cells, run.rows(protocol), timings).to_dict("records")
        for cell, line in zip(cells, table, strict=True):
            label = labels[cell, protocol]
            lines[label] = line | {"cell": label}
    return pd.DataFrame([lines[label] for label in labels.values()])


def report_on(run: Run, reports: Path, margin: float = DEFAULT_MARGIN / 100) -> None:
    """Writes the report on the run's protocol, after what it shows of the images is recorded. `margin` is a
    fraction."""
    write_report_on(record_shown(run), reports, margin, margin_option(margin))


def executor_at(place: Place, device: Device, data: Data, stacks: int) -> Executor:
    """Opens what trains at the place; on this machine a GPU has one worker."""
    if place.cluster is not None:
        from bench.run.cluster import RayExecutor

        return RayExecutor(place.cluster, data, device, place.gpus_per_stack)
    if place.workers == 0:
        return Serial(data)
    return LocalPool(1 if device == "cuda" else min(place.workers, stacks), data)


def exit_code(run: Run) -> int:
    """1 where a trial failed or a cell was left out."""
    return 1 if run.left_out or outcome_counts(run.rows())["failed"] else 0


def _counts(run: Run, missing: Sequence[Trial]) -> str:
    lacking = {run.by_trial[trial].key for trial in missing}
    without = sum(named.key in lacking for named in run.named)
    twins, again = without - len(missing), len(lacking & run.unread())
    return (
        f"{counted(run.trials)}: {len(run.trials) - without} recorded, {len(missing)} to train"
        + (f", {again} of these again for their readouts" if again else "")
        + (f", {twins} the same as one of these" if twins else "")
    )
