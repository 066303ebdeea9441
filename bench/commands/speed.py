"""`bench speed`: training speed against the plain loop, and what a run costs around the training."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.catalogue import catalogue


def speed(
    study: opt.StudyName = None,
    models: opt.Models = None,
    rounds: Annotated[int, typer.Option("--rounds", help="How often each loop is timed, in turns.")] = 5,
    batch_size: opt.BatchSize = None,
    precision: opt.PrecisionName = None,
    device: opt.DeviceName = "auto",
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
    overhead: Annotated[
        bool, typer.Option("--overhead", help="Time what runs of 10 to 1,000 trials cost around the training instead.")
    ] = False,
) -> None:
    """Time training against the plain loop that one writes first, on this machine, and print the ratios.

    All ways train the models at their presets with all cores: the plain loop with torchvision's transforms, image by
    image, and a DataLoader (the best of 0, 1 and 2 workers counts); the harness with a trial in each worker process, in
    fp32 and, where the machine has it in hardware, in bf16, with its kernels and on torch's own layers. What the cores
    can do at most is measured beside. On a GPU the plain loop trains there, and the harness a stack of trials.
    """
    opt.use_study(study)
    names = opt.chosen_models(models is None, models)
    processes = opt.chosen_workers(workers)
    if not 2 <= rounds <= 1000:
        raise UsageError(f"--rounds is 2 to 1,000 (one round gives no interval), not {rounds:,}")
    checked = opt.protocol_of(dataset, data_dir, 15, precision, device, batch_size=batch_size)

    from tabulate import tabulate

    from bench.plan.cells import preset_cell
    from bench.plan.trials import Trial
    from bench.report.sections.overhead import cost_table
    from bench.report.sections.overhead.costs import overheads
    from bench.report.sections.speed import speedup_table
    from bench.report.sections.speed.speedups import speedups
    from bench.run.overhead import measure_overhead
    from bench.run.rows import speed_row
    from bench.run.runner import prepare_run
    from bench.run.speed import GPU_STACK, compare_speeds
    from bench.session.training import settle
    from bench.train.device import multiplies_bf16

    protocol = settle(checked, dataset, data_dir, precision, device)
    if (precision or catalogue().defaults.precision) == "auto" and multiplies_bf16(protocol.device):
        protocol = replace(protocol, precision="bf16")  # beside fp32, which is timed anyway
    trials = {cell: Trial(cell, 0, protocol) for cell in map(preset_cell, names)}
    run = prepare_run(list(trials.values()), "speed", data_dir, opt.root_of(results))
    store = run.store
    # All samples before any is recorded: a comparison that was cut short is none.
    with store.lock():
        store.add_machine(run.machine)
        if overhead:
            store.add_overheads(list(measure_overhead(run, processes, rounds)))
            table, file = cost_table(overheads(store.overheads())), "overhead.csv"
        else:
            shape = (1, rounds, GPU_STACK) if protocol.device == "cuda" else (processes, rounds)
            samples = list(compare_speeds(run.trials, run.data, *shape))
            store.add_speeds(speed_row(sample, trials[sample.cell], run.provenance) for sample in samples)
            table, file = speedup_table(speedups(store.speeds())), "speed.csv"
    headers = [column.title for column in table.columns]
    print(tabulate(table.texts, headers, disable_numparse=True, colalign=("left",) + ("right",) * (len(headers) - 1)))
    print(f"Rows: {store.folder / file}")
