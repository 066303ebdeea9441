"""`bench select`: chooses the learning rates and the basic augmentation on held-out training images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.catalogue import catalogue
from bench.plan.selection import augmentation_trials, rate_trials

# Without --val one training image in so many is held out.
HELD_OUT = 12


def select(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY] [rates|augmentation]", help="The study, and what to choose. Default: rates."),
    ] = None,
    all_models: opt.AllModels = False,
    models: opt.Models = None,
    seeds: opt.Seeds = "1",
    epochs: opt.Epochs = None,
    precision: opt.PrecisionName = None,
    device: opt.DeviceName = "auto",
    val: Annotated[
        int | None,
        typer.Option(
            "--val",
            help="Hold out N training images and measure on them. Default: a twelfth, as 5,000 of 60,000.",
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

    The built-in study's rates and augmentation come from this command; the test set is not read.
    """
    rest = opt.split_study(words or [])
    if len(rest) > 1:
        raise UsageError(f"`bench select` chooses one thing at a time, not {' and '.join(rest)}")
    what = rest[0] if rest else "rates"
    if what not in ("rates", "augmentation"):
        raise UsageError(f"`bench select` chooses rates or augmentation, not {what!r}")
    if what == "augmentation" and not catalogue().by_name["augmentation"].is_looked_up:
        raise UsageError(
            "`bench select augmentation` chooses the harness's basic one, and this study has its own factor"
        )
    names = opt.chosen_models(all_models or models is None, models)
    count = opt.chosen_seeds(seeds)
    place = opt.chosen_place(workers, cluster, gpus_per_stack)
    checked = opt.protocol_of(epochs, precision, device, val=val or 0)
    if val == 0:
        raise UsageError("--val 0 would choose on test images: hold training images out")

    from bench.report.selection import as_written, augmentation_table, rate_table, render_selection
    from bench.run.runner import prepare_run
    from bench.session.training import settle, train_and_time
    from bench.sources.dataset import find_dataset

    protocol = settle(checked, dataset, data_dir, precision, device, cluster is not None)
    if val is None:
        protocol = replace(protocol, val=len(find_dataset(protocol.dataset).load(data_dir).train) // HELD_OUT)
    plan, table = (rate_trials, rate_table) if what == "rates" else (augmentation_trials, augmentation_table)
    wanted = list(plan(names, count, protocol))
    run = prepare_run(wanted, "selection", data_dir, opt.root_of(results))
    code = train_and_time(run, place, timing=False)
    found = table(run.rows(), run.data.classes)
    print(render_selection(found))
    if what == "rates" and catalogue().name:
        print(f"For the study's file: {as_written(found)}")
    print(f"Rows: {run.store.trials_path}")
    return code
