"""`bench select`: chooses the learning rates on held-out training images."""

from pathlib import Path

from bench.commands import options as opt
from bench.plan.protocol import Protocol
from bench.plan.selection import selection_trials


def select(
    all_models: opt.AllModels = False,
    models: opt.Models = None,
    seeds: opt.Seeds = 1,
    epochs: opt.Epochs = 15,
    val: opt.Val = 5000,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
) -> int:
    """Train the candidate rates, measure them on held-out training images, print the choice.

    The rates that `bench run` uses come from this command on mnist; the test set is not read.
    """
    names = opt.chosen_models(all_models or models is None, models)
    count = opt.chosen_seeds(seeds)
    processes = opt.chosen_workers(workers)
    checked = Protocol(dataset or "", epochs, val=val)

    from bench.commands.session import announce_data, train_and_time
    from bench.report.selection import render_selection, selection_table
    from bench.run.runner import prepare_run

    protocol = announce_data(checked, dataset, data_dir)
    wanted = list(selection_trials(names, count, protocol))
    run = prepare_run(wanted, "selection", data_dir, results)
    code = train_and_time(run, processes, timing=False)
    print(render_selection(selection_table(run.rows())))
    print(f"Rows: {run.store.trials_path}")
    return code
