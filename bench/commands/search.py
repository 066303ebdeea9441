"""`bench search`: finds an architecture under a limit of parameters on held-out training images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.report import Margin, Reports
from bench.session.reports import DEFAULT_MARGIN, chosen_margin

# Without --val one training image in so many is held out.
HELD_OUT = 6


def search(
    study: opt.StudyName = None,
    parameters: Annotated[
        int | None,
        typer.Option(
            "--parameters",
            help="The most that a network may have. Default: the study's, 8,000 of the built-in one.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="What this command may spend: a time, a number of trials or both, as in 2h, 90min, 200trials.",
            show_default=False,
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirm",
            help="End the search: train its winner and random search's with N fresh seeds and measure them on the test "
            "set, for the report.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    epochs: opt.Epochs = None,
    batch_size: opt.BatchSize = None,
    lr: opt.LearningRate = None,
    optimizer: opt.OptimizerName = None,
    precision: opt.PrecisionName = None,
    device: opt.DeviceName = "auto",
    val: Annotated[
        int | None,
        typer.Option(
            "--val",
            help="Hold out N training images and measure on them. Default: a sixth, as 10,000 of 60,000.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
    cluster: opt.Cluster = None,
    gpus_per_stack: opt.GpusPerStack = 1.0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print where the search stands and what comes next; train nothing.")
    ] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report after --confirm.")] = True,
    reports: Reports = Path("reports"),
    margin: Margin = DEFAULT_MARGIN,
) -> int:
    """Search the study's space of architectures, with random search at the same cost beside it.

    Networks that Optuna suggests train for a few epochs, the best third of them for more, the best of those for all:
    successive halving, measured on held-out training images, so that the test set chooses nothing. Run the same command
    again to go on; trials that have rows are never trained again.
    """
    given = {name: value for name, value in locals().items() if value is not None and value is not False}
    opt.use_study(study)
    space, limit = opt.chosen_search(parameters)
    allowed = opt.chosen_spending(budget, confirm, plan)
    place = opt.chosen_place(workers, cluster, gpus_per_stack)
    fraction = chosen_margin(margin)
    checked = opt.held_out_protocol(
        dataset, data_dir, epochs, precision, device, batch_size=batch_size, lr=lr, optimizer=optimizer, val=val
    )

    if not plan:
        place.begin()

    from bench.session import searching
    from bench.session.training import settle
    from bench.sources.dataset import find_dataset

    protocol = settle(checked, dataset, data_dir, precision, device, cluster is not None)
    if val is None:
        protocol = replace(protocol, val=max(len(find_dataset(protocol.dataset).load(data_dir).train) // HELD_OUT, 1))
    root = opt.root_of(results)
    prepared = searching.prepare_search(space, protocol, limit, data_dir, root)
    design = searching.halving(space, prepared, limit)
    if plan:
        searching.plan_search(prepared, design, place)
        return 0
    if confirm is not None:
        pages = opt.root_of(reports) if report else None
        return searching.confirm(prepared, design, place, confirm, data_dir, root, pages, fraction, given)
    return searching.carry_out_search(prepared, design, place, allowed, given)
