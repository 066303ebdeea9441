"""`bench status`: what of a plan is recorded."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.plan.trials import arms, planned

STATUSES = ("done", "diverged", "failed", "stale", "missing")


def status(
    study: opt.StudyName = None,
    models: opt.Models = None,
    design: opt.DesignName = None,
    factors: opt.FactorNames = None,
    seeds: opt.Seeds = None,
    epochs: opt.Epochs = None,
    batch_size: opt.BatchSize = None,
    lr: opt.LearningRate = None,
    optimizer: opt.OptimizerName = None,
    precision: opt.PrecisionName = None,
    device: opt.DeviceName = "auto",
    val: opt.Val = 0,
    readouts: opt.Readouts = None,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.SeveralResults = None,
    why: Annotated[
        bool, typer.Option("--why", help="Say for each cell which part of its stale trials' keys has moved.")
    ] = False,
) -> None:
    """Count, per cell and rate, the trials that are done, diverged, failed, stale and missing. Default: those of
    `run --all`.

    A stale trial has a row, but of another state: its network, training code, data, learning rate or augmentation are
    no longer the same. `bench run` trains it anew and leaves the old row.
    """
    opt.use_study(study)
    cells = opt.chosen_cells(models is None, models, design, factors)
    count = opt.chosen_seeds(seeds)
    checked = opt.protocol_of(
        dataset,
        data_dir,
        epochs,
        precision,
        device,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        val=val,
        readouts=readouts,
        read_out=True,
    )

    from tabulate import tabulate

    from bench.record.several import Several, find_stores
    from bench.report.show.words import plural
    from bench.run.runner import prepare_run
    from bench.run.staleness import stale_trials
    from bench.session.training import settle

    protocol = settle(checked, dataset, data_dir, precision, device)
    chosen = opt.chosen_design(design)
    wanted = list(planned(chosen, cells, count, protocol))
    roots = opt.roots_of(results)
    run = prepare_run(wanted, chosen, data_dir, roots[0])
    files = [run.store.trials_path]
    if len(roots) > 1:
        store = Several(find_stores(roots, protocol.dataset, run.store.trials_path.name)[protocol.dataset])
        run, files = replace(run, store=store), list(store.trial_paths)
        opt.say_different(store.different)
    rows = run.store.trials().drop_duplicates("trial", keep="last")
    recorded = dict(zip(rows["trial"], rows["status"], strict=True))
    stale = stale_trials(run)
    labels = arms(wanted)
    statuses: dict[str, Counter[str]] = {label: Counter() for label in labels.values()}
    for named in run.named:
        found = recorded.get(named.key) or ("stale" if named.trial in stale else "missing")
        statuses[labels[named.trial.arm]][found] += 1
    table = [(label, *(counts[status] for status in STATUSES)) for label, counts in statuses.items()]
    print(tabulate(table, headers=("cell", *STATUSES)))
    if why:
        moved = Counter((labels[trial.arm], reason) for trial, reason in stale.items())
        for (label, reason), trials_moved in moved.items():
            print(f"Stale: {label}, {plural(trials_moved, 'trial')}, moved since: {reason}")
    else:
        for reason, trials_moved in Counter(stale.values()).items():
            print(f"Stale: {plural(trials_moved, 'trial')}, moved since: {reason}")
    if unread := run.unread():
        print(
            f"Not read out: {plural(len(unread), 'done trial')} of {', '.join(protocol.readouts)}; `bench run` with "
            "these options trains them again for it, and leaves their rows"
        )
    for file, lines in run.store.torn_lines().items():
        print(f"Set aside: {lines} lines of {file} that a crash had cut short (in {file}.torn)")
    print(f"Rows: {', '.join(map(str, files))}")
