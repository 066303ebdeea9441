"""`bench train`: one trial, epoch by epoch."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.options import MOST_SEEDS
from bench.errors import UsageError
from bench.plan.catalogue import find_architecture, find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial


def train(
    model: Annotated[str, typer.Option("--model", help="The model to train.")],
    study: opt.StudyName = None,
    levels: Annotated[
        list[str] | None,
        typer.Option(
            "--level",
            help="Another level than the preset's, as in batch_norm=off. May be given several times.",
            metavar="FACTOR=LEVEL",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Index of the replicate.", min=0, max=MOST_SEEDS - 1)] = 0,
    epochs: opt.Epochs = None,
    batch_size: opt.BatchSize = None,
    lr: opt.LearningRate = None,
    optimizer: opt.OptimizerName = None,
    precision: opt.PrecisionName = None,
    device: opt.DeviceName = "auto",
    val: opt.Val = 0,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("runs"),
) -> int:
    """Train one model once, print every epoch, and record the row unless it is there already.

    Rows go to ./runs, apart from the study in ./results, unless --results says otherwise.
    """
    opt.use_study(study)
    cell = preset_cell(model)
    for text in levels or []:
        name, _, level = text.partition("=")
        [factor] = find_factors([name])
        if not find_architecture(model).applies(factor):
            raise UsageError(f"{model} has no keyword {name}: the factor doesn't apply to it")
        cell = cell.with_level(factor, factor.parse(level))
    checked = opt.protocol_of(
        dataset, data_dir, epochs, precision, device, batch_size=batch_size, lr=lr, optimizer=optimizer, val=val
    )
    return _train(cell, seed, checked, (precision, device), dataset, data_dir, results)


def _train(
    cell: Cell,
    seed: int,
    checked: Protocol,
    asked: tuple[str | None, str],
    dataset: str | None,
    data_dir: Path,
    results: Path,
) -> int:
    from bench.errors import BenchError
    from bench.run.runner import network_summary, prepare_run, record
    from bench.run.worker import train_stack, use_one_thread
    from bench.session.training import settle
    from bench.train.outcome import Epoch

    protocol = settle(checked, dataset, data_dir, *asked)
    trial = Trial(cell, seed, protocol)
    run = prepare_run([trial], "train", data_dir, opt.root_of(results))
    use_one_thread()
    split = "Val" if protocol.val else "Test"

    def print_epoch(_trial: Trial, epoch: Epoch) -> None:
        print(f"Epoch {epoch.number}")
        print(
            f"Train Loss: {epoch.train_loss:.4f} | Train Acc: {epoch.train_accuracy:.2%} | "
            f"{split} Loss: {epoch.held_out_loss:.4f} | {split} Acc: {epoch.held_out_accuracy:.2%}",
            flush=True,
        )

    print(f"{cell.label}, seed {seed}, lr {trial.lr:g}")
    print(f"Total parameters: {network_summary(cell, run.data).parameters:,}", flush=True)
    with run.store.lock():
        [trained] = train_stack([trial], run.data, print_epoch)
        # A row that says that an earlier try failed is no result.
        if run.missing(retry_failed=True):
            record(run, trained)
    if trained.outcome is None:
        raise BenchError(f"the trial failed: {trained.error}")
    print(f"Row: {run.store.trials_path}")
    return 0
