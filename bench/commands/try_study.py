"""`bench try`: asks of a study in half a minute what must hold before hours are spent on it."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell
from bench.plan.trials import counted, planned


def try_study(
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
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    workers: opt.Workers = None,
    seconds: Annotated[
        float, typer.Option("--seconds", help="About how long to try; cells that don't fit in are left out.")
    ] = 30.0,
) -> None:
    """Try every cell of a study on a few images: does it build, learn, repeat, differ, travel; how long will it take.

    Trains nothing that is kept. Exit code 0 where everything holds, 2 where something is wrong, with a line for each.
    """
    if not 1 <= seconds <= 86_400:
        raise UsageError(f"--seconds is 1 to 86400, not {seconds:g}")
    opt.use_study(study)
    cells = opt.chosen_cells(models is None, models, design, factors)
    count = opt.chosen_seeds(seeds)
    place = opt.chosen_place(workers, None, 1.0)
    checked = opt.protocol_of(
        dataset, data_dir, epochs, precision, "auto", batch_size=batch_size, lr=lr, optimizer=optimizer
    )

    from bench.run.progress import format_duration
    from bench.session.training import settle
    from bench.trying.checks import Check, rendered
    from bench.trying.contract import Contract, Tries

    chosen = opt.chosen_design(design)
    wanted = list(planned(chosen, cells, count, checked))
    print(
        f"Study: {catalogue().name or 'the built-in one'}, {len({cell.architecture for cell in cells})} of its models; "
        f"{chosen}: {counted(wanted)}"
    )
    protocol = settle(checked, dataset, data_dir, precision, "auto")
    print()
    contract = Contract(Tries(cells, protocol, len(wanted)), data_dir, seconds)
    checks: list[Check] = []
    for check in contract.checks(_shown):
        print(rendered([check]), flush=True)
        checks.append(check)
    print()
    wrong = [check.name for check in checks if check.wrong]
    if wrong:
        raise UsageError(f"{len(wrong)} of {len(checks)} checks fail: {', '.join(wrong)}")
    if contract.estimate is not None:
        busy = min(max(place.workers, 1), len(wanted))
        memory = contract.estimate.bytes_per_worker
        print(
            f"The whole plan: {len(wanted)} trials, about {format_duration(contract.estimate.seconds / busy)} with "
            f"{busy} worker{'' if busy == 1 else 's'}"
            + ("." if memory is None else f", {memory / 2**20:,.0f} MB each at their peak.")
        )
    if not catalogue().rates_for(protocol.dataset, protocol.optimizer).selected and protocol.lr is None:
        print("Nobody chose its learning rates: Study(rates=...), or `bench select rates`.")


def _shown(cells: Sequence[Cell]) -> Iterator[Cell]:
    """The cells, with a bar that says how far it is where somebody looks."""
    from tqdm import tqdm

    return iter(tqdm(cells, desc="trying", unit="cell", leave=False, disable=None, file=sys.stderr))
