"""`bench status`: what of a plan is recorded."""

from pathlib import Path

from bench.commands import options as opt
from bench.plan.protocol import Protocol
from bench.plan.trials import trials


def status(
    models: opt.Models = None,
    design: opt.DesignName = "toggles",
    factors: opt.FactorNames = None,
    seeds: opt.Seeds = 5,
    epochs: opt.Epochs = 15,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
) -> None:
    """Count, per cell, the trials that are done, diverged, failed and missing. Default: what `run --all` asks for."""
    cells = opt.chosen_cells(models is None, models, design, factors)
    count = opt.chosen_seeds(seeds)
    checked = Protocol(dataset or "", epochs)

    from tabulate import tabulate

    from bench.commands.session import announce_data
    from bench.run.runner import prepare_run

    protocol = announce_data(checked, dataset, data_dir)
    run = prepare_run(list(trials(cells, count, protocol)), design, data_dir, results)
    rows = run.rows()
    recorded = dict(zip(rows["trial"], rows["status"], strict=True))
    table = []
    for cell in cells:
        statuses = [
            recorded.get(key, "missing") for trial, key in zip(run.trials, run.keys, strict=True) if trial.cell == cell
        ]
        table.append((cell.label, *(statuses.count(s) for s in ("done", "diverged", "failed", "missing"))))
    print(tabulate(table, headers=("cell", "done", "diverged", "failed", "missing")))
    print(f"Rows: {run.store.trials_path}")
