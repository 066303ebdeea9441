"""`bench run`: trains what a design asks for and the rows lack, times the networks, prints the table."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.report import Reports
from bench.plan.trials import planned


def run(
    study: opt.StudyName = None,
    all_models: opt.AllModels = False,
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
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
    cluster: opt.Cluster = None,
    gpus_per_stack: opt.GpusPerStack = 1.0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print cells, trials and a time estimate; train nothing.")
    ] = False,
    timing: Annotated[
        bool | None,
        typer.Option(
            "--timing/--no-timing",
            help="Measure throughput on this machine when the training is done. Default: unless a cluster trained.",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train those again whose row says that they failed.")
    ] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report when the run is done.")] = True,
    reports: Reports = Path("reports"),
) -> int:
    """Train every cell of a design with every seed, record the rows, print the table.

    A trial that has a row is not trained again: run the same command after an interruption to go on.
    """
    given = {name: value for name, value in locals().items() if value is not None and value is not False}
    opt.use_study(study)
    cells = opt.chosen_cells(all_models, models, design, factors)
    place = opt.chosen_place(workers, cluster, gpus_per_stack)
    count = opt.chosen_seeds(seeds)
    checked = opt.protocol_of(
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

    from bench.run.runner import prepare_run
    from bench.session.training import carry_out, print_plan, settle

    protocol = settle(checked, dataset, data_dir, precision, device, cluster is not None)
    chosen = opt.chosen_design(design)
    prepared = prepare_run(list(planned(chosen, cells, count, protocol)), chosen, data_dir, opt.root_of(results))
    if plan:
        print_plan(prepared, place)
        return 0
    timed = cluster is None if timing is None else timing
    return carry_out(prepared, place, timed, retry_failed, opt.root_of(reports) if report else None, given)
