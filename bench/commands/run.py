"""`bench run`: trains what a design asks for and the rows lack, times the networks, prints the table."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.report import Margin, Reports
from bench.plan.trials import planned
from bench.session.reports import DEFAULT_MARGIN, chosen_margin


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
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="settled: add seeds where they decide until each technique helps, hurts or makes no difference that "
            "matters. --seeds is then the most that a cell gets, 1,000 without it.",
            metavar="settled",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="With --until, what may be spent: a time, a number of trials or both, as in 3h, 90min, 200trials.",
            show_default=False,
        ),
    ] = None,
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
    margin: Margin = DEFAULT_MARGIN,
) -> int:
    """Train every cell of a design with every seed, record the rows, print the table.

    A trial that has a row is not trained again: run the same command after an interruption to go on. With --until
    settled the report's intervals allow for every look.
    """
    given = {name: value for name, value in locals().items() if value is not None and value is not False}
    opt.use_study(study)
    cells = opt.chosen_cells(all_models, models, design, factors)
    place = opt.chosen_place(workers, cluster, gpus_per_stack)
    count = opt.chosen_seeds(seeds) if until is None else ()
    most, allowed = opt.chosen_until(until, budget, seeds, design, val)
    fraction = chosen_margin(margin)
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

    if not plan:
        place.begin()

    from bench.run.runner import prepare_run
    from bench.session.training import carry_out, exit_code, finish, print_plan, settle

    protocol = settle(checked, dataset, data_dir, precision, device, cluster is not None)
    chosen = opt.chosen_design(design)
    wanted = list(planned(chosen, cells, count or (0,), protocol))
    prepared = prepare_run(wanted, chosen, data_dir, opt.root_of(results))
    timed = cluster is None if timing is None else timing
    pages = opt.root_of(reports) if report else None
    if until is not None:
        # Statistics take a second to import, and a static design needs none.
        from bench.session.settling import design_until, plan_until, train_until

        endless = design_until(prepared, cells, place, fraction, most)
        if plan:
            plan_until(prepared, endless, place)
            return 0
        settled = train_until(prepared, endless, place, allowed, timed, retry_failed, given)
        finish(settled, pages, fraction)
        return exit_code(settled)
    if plan:
        print_plan(prepared, place)
        return 0
    return carry_out(prepared, place, timed, retry_failed, pages, given, fraction)
