"""`bench select`: chooses the learning rates and the basic augmentation on held-out training images."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.catalogue import catalogue
from bench.plan.selection import augmentation_trials

# Without --val one training image in so many is held out.
HELD_OUT = 12

# Fewer seeds than this choose a rate by luck.
ENOUGH_SEEDS = 3


def select(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY] [rates|augmentation]", help="The study, and what to choose. Default: rates."),
    ] = None,
    all_models: opt.AllModels = False,
    models: opt.Models = None,
    seeds: Annotated[
        str,
        typer.Option(
            "--seeds", help="Trials per candidate: a number N for seeds 0 to N-1, or the seeds themselves.", metavar="N"
        ),
    ] = str(ENOUGH_SEEDS),
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

    Every model is trained under every combination of levels that the study's rates go by, at the same candidates; where
    the best of these is the lowest or the highest, more are tried beyond it. The rates and the augmentation of the
    built-in study come from this command; the test set is not read.
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
    checked = opt.held_out_protocol(dataset, data_dir, epochs, precision, device, val)
    if len(count) < ENOUGH_SEEDS:
        print(f"bench: with fewer than {ENOUGH_SEEDS} seeds luck chooses as well", file=sys.stderr)

    place.begin()

    from bench.report.selection import augmentation_table, render_selection
    from bench.run.runner import prepare_run
    from bench.session.selecting import select_rates
    from bench.session.training import settle, train_and_time
    from bench.sources.dataset import find_dataset

    protocol = settle(checked, dataset, data_dir, precision, device, cluster is not None)
    if val is None:
        protocol = replace(protocol, val=len(find_dataset(protocol.dataset).load(data_dir).train) // HELD_OUT)
    if what == "rates":
        return select_rates(names, count, protocol, place, data_dir, opt.root_of(results))
    wanted = list(augmentation_trials(names, count, protocol))
    if not wanted:
        raise UsageError(f"none of {', '.join(names)} has the basic augmentation in its preset: name a model that does")
    run = prepare_run(wanted, "selection", data_dir, opt.root_of(results))
    code = train_and_time(run, place, timing=False)
    print(render_selection(augmentation_table(run.rows(), run.data.classes)))
    print(f"Rows: {run.store.trials_path}")
    return code
