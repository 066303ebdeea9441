"""`bench speed`: training speed against the plain loop."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError


def speed(
    models: opt.Models = None,
    rounds: Annotated[int, typer.Option("--rounds", help="How often each loop is timed, in turns.")] = 5,
    batch_size: opt.BatchSize = 64,
    precision: opt.PrecisionName = "auto",
    dataset: opt.DatasetName = "digits",
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
) -> None:
    """Time training against the plain loop that one writes first, on this machine, and print the ratios.

    Both train the models as published with all cores: the plain loop with torchvision's transforms, image by image, and
    a DataLoader (the best of 0, 1 and 2 workers counts); the harness with a trial in each worker process.
    """
    names = opt.chosen_models(models is None, models)
    processes = opt.chosen_workers(workers)
    if not 2 <= rounds <= 1000:
        raise UsageError(f"--rounds is 2 to 1,000 (one round gives no interval), not {rounds:,}")
    checked = opt.protocol_of(15, precision, batch_size=batch_size)

    import sys

    from tabulate import tabulate
    from tqdm import tqdm

    from bench.commands.session import settle
    from bench.plan.cells import preset_cell
    from bench.plan.trials import Trial
    from bench.report.speed import speedups
    from bench.report.tables.speed import speedup_table
    from bench.run.runner import prepare_run, record_speeds
    from bench.run.speed import LOADER_WORKERS, compare_speeds

    protocol = settle(checked, dataset, data_dir, precision)
    trials = [Trial(preset_cell(name), 0, protocol) for name in names]
    run = prepare_run(trials, "speed", data_dir, results)
    total = rounds * len(trials) * (len(LOADER_WORKERS) + 1)
    samples = compare_speeds(trials, run.data, processes, rounds)
    with run.store.lock():
        record_speeds(run, tqdm(samples, "timing", total, disable=not sys.stderr.isatty(), leave=False))
    table = speedup_table(speedups(run.store.speeds()))
    headers = [column.title for column in table.columns]
    print(tabulate(table.texts(), headers, disable_numparse=True, colalign=("left",) + ("right",) * (len(headers) - 1)))
    print(f"Rows: {run.store.folder / 'speed.csv'}")
