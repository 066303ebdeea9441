"""`bench status`: what of a plan is recorded."""

from collections import Counter
from pathlib import Path

from bench.commands import options as opt
from bench.plan.trials import trials

STATUSES = ("done", "diverged", "failed", "stale", "missing")


def status(
    models: opt.Models = None,
    design: opt.DesignName = "toggles",
    factors: opt.FactorNames = None,
    seeds: opt.Seeds = 5,
    epochs: opt.Epochs = 15,
    precision: opt.PrecisionName = "auto",
    device: opt.DeviceName = "auto",
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
) -> None:
    """Count, per cell, the trials that are done, diverged, failed, stale and missing. Default: those of `run --all`.

    A stale trial has a row, but of another state: its data, training code, learning rate, layers or augmentation are no
    longer the same. `bench run` trains it anew and leaves the old row.
    """
    cells = opt.chosen_cells(models is None, models, design, factors)
    count = opt.chosen_seeds(seeds)
    checked = opt.protocol_of(epochs, precision, device)

    from tabulate import tabulate

    from bench.commands.session import settle
    from bench.run.runner import prepare_run
    from bench.run.staleness import stale_trials

    protocol = settle(checked, dataset, data_dir, precision, device)
    run = prepare_run(list(trials(cells, count, protocol)), design, data_dir, results)
    rows = run.rows()
    recorded = dict(zip(rows["trial"], rows["status"], strict=True))
    stale = stale_trials(run)
    statuses = {
        trial: recorded.get(key, "stale" if trial in stale else "missing")
        for trial, key in zip(run.trials, run.keys, strict=True)
    }
    table = []
    for cell in cells:
        of_cell = [status for trial, status in statuses.items() if trial.cell == cell]
        table.append((cell.label, *(of_cell.count(status) for status in STATUSES)))
    print(tabulate(table, headers=("cell", *STATUSES)))
    for reason, count in Counter(stale.values()).items():
        print(f"Stale: {count} trials, changed since: {reason}")
    for file, lines in run.store.torn_lines().items():
        print(f"Set aside: {lines} lines of {file} that a crash had cut short (in {file}.torn)")
    print(f"Rows: {run.store.trials_path}")
