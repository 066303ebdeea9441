"""`bench select`: chooses the learning rates and the basic augmentation on held-out training images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.selection import augmentation_trials, rate_trials

# Without --val one training image in so many is held out.
HELD_OUT = 12


def select(
    what: Annotated[str, typer.Argument(help="rates or augmentation.")] = "rates",
    all_models: opt.AllModels = False,
    models: opt.Models = None,
    seeds: opt.Seeds = 1,
    epochs: opt.Epochs = 15,
    precision: opt.PrecisionName = "auto",
    device: opt.DeviceName = "auto",
    val: Annotated[
        int | None,
        typer.Option(
            "--val",
            help="Hold out N training images and measure on them. Default: a twelfth, 5,000 of MNIST's 60,000.",
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
) -> int:
    """Train the candidates, measure them on held-out training images, print the choice, or that they don't settle it.

    The rates and the augmentation that `bench run` uses come from this command on mnist; the test set is not read.
    """
    if what not in ("rates", "augmentation"):
        raise UsageError(f"`bench select` chooses rates or augmentation, not {what!r}")
    names = opt.chosen_models(all_models or models is None, models)
    count = opt.chosen_seeds(seeds)
    place = opt.chosen_place(workers, cluster, gpus_per_stack)
    checked = opt.protocol_of(epochs, precision, device, val=val or 0)
    if val == 0:
        raise UsageError("--val 0 would choose on test images: hold training images out")

    from bench.commands.session import settle, train_and_time
    from bench.report.selection import augmentation_table, rate_table, render_selection
    from bench.run.runner import prepare_run
    from bench.studies.data import DATASETS

    protocol = settle(checked, dataset, data_dir, precision, device, cluster is not None)
    if val is None:
        protocol = replace(protocol, val=len(DATASETS[protocol.dataset].load(data_dir).train) // HELD_OUT)
    plan, table = (rate_trials, rate_table) if what == "rates" else (augmentation_trials, augmentation_table)
    wanted = list(plan(names, count, protocol))
    run = prepare_run(wanted, "selection", data_dir, results)
    code = train_and_time(run, place, timing=False)
    print(render_selection(table(run.rows(), run.data.classes)))
    print(f"Rows: {run.store.trials_path}")
    return code
