"""Options that several commands share, and what they mean together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, cast

import typer

from architectures.registry import ARCHITECTURES
from bench.errors import UsageError, near_matches
from bench.plan.cells import Cell, find_architecture
from bench.plan.designs import DESIGNS
from bench.plan.factors import FACTORS, find_factors
from bench.plan.protocol import Device, Optimizer, Precision, Protocol

MOST_SEEDS = 10_000

DatasetName = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="digits, mnist, fashion_mnist or kmnist. Default: mnist if its files are in the data directory, "
        "else digits.",
        show_default=False,
    ),
]
DataDir = Annotated[Path, typer.Option("--data-dir", help="Where the files of data sets lie, in torchvision's layout.")]
Results = Annotated[Path, typer.Option("--results", help="Rows go to ROOT/<dataset>/.", metavar="ROOT")]
AllModels = Annotated[bool, typer.Option("--all", help="Every registered model.")]
Models = Annotated[
    str | None,
    typer.Option("--models", help="These models, as in model1,model3.", show_default=False),
]
DesignName = Annotated[
    str,
    typer.Option(
        "--design",
        help="How cells are chosen: presets; toggles (the preset, and each factor flipped once); factorial (every "
        "combination); path (from one model's preset to another's, a factor at a time).",
    ),
]
FactorNames = Annotated[
    str | None,
    typer.Option(
        "--factors",
        help="Only these factors vary, as in batch_norm,gap. Default: all.",
        show_default=False,
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", help="Trials per cell, with seeds 0 to N-1.", metavar="N")]
Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the training images.")]
BatchSize = Annotated[int, typer.Option("--batch-size", help="Images per training step.")]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr",
        help="One learning rate for every cell (the peak of onecycle). Default: the selected rate of the cell's "
        "scheduler and batch norm.",
        show_default=False,
    ),
]
OptimizerName = Annotated[str, typer.Option("--optimizer", help="sgd (momentum 0.9) or adamw; adamw needs --lr.")]
PrecisionName = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, bf16 (convolutions in bfloat16, the rest in float32), or auto: bf16 where the device has it "
        "in hardware. Rows of different precisions are never pooled.",
    ),
]
DeviceName = Annotated[
    str,
    typer.Option(
        "--device",
        help="cpu, cuda (one process trains all trials of a shape as one batch), or auto: cuda where there is a GPU. "
        "Rows of different devices are never pooled.",
    ),
]
Val = Annotated[
    int,
    typer.Option(
        "--val",
        help="Hold out N training images and measure on them; the test set is not read. Rows go to selection.csv.",
        metavar="N",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Processes that train at once; on a GPU one. 0 trains in this process, for debugging. Default: the core "
        "count.",
        show_default=False,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Train on a Ray cluster: auto (the one that this machine is part of) or ray://host:port.",
        metavar="ADDRESS",
        show_default=False,
    ),
]
GpusPerStack = Annotated[
    float,
    typer.Option("--gpus-per-stack", help="GPUs that a stack takes on a cluster: 0.5 lets two share one."),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where trials are trained: in so many processes here (0: in this one), or on a cluster."""

    workers: int = 0
    cluster: str | None = None
    gpus_per_stack: float = 1.0


def protocol_of(
    epochs: int,
    precision: str,
    device: str,
    *,
    batch_size: int = 64,
    lr: float | None = None,
    optimizer: str = "sgd",
    val: int = 0,
) -> Protocol:
    """The options as a protocol, checked before torch is imported, which takes seconds. Raises UsageError.

    The data set, and precision and device where they are auto, are filled in by `bench.commands.session.settle`.
    """
    return Protocol(
        dataset="",
        epochs=epochs,
        batch_size=batch_size,
        optimizer=cast(Optimizer, optimizer),
        lr=lr,
        precision=cast(Precision, "fp32" if precision == "auto" else precision),
        device=cast(Device, "cpu" if device == "auto" else device),
        val=val,
    )


def chosen_cells(all_models: bool, models: str | None, design: str, factors: str | None) -> list[Cell]:
    """The distinct cells that the options ask for. Raises UsageError."""
    if design not in DESIGNS:
        raise UsageError(f"no design is called {design!r}: {near_matches(design, DESIGNS)}")
    names = chosen_models(all_models, models)
    varied = FACTORS if factors is None else find_factors(_split(factors, "--factors"))
    return list(dict.fromkeys(DESIGNS[design](names, varied)))


def chosen_models(all_models: bool, models: str | None) -> list[str]:
    """The architectures that --all and --models ask for. Raises UsageError."""
    if all_models and models is not None:
        raise UsageError("--all and --models exclude each other: give one of them")
    if all_models:
        return list(ARCHITECTURES)
    if models is None:
        raise UsageError(f"say what to run: --all, or --models with some of {', '.join(ARCHITECTURES)}")
    return [find_architecture(name).name for name in _split(models, "--models")]


def plain_name(dataset: str) -> str:
    """The name of a data set's folder, which lies in --results and in --reports and nowhere else. Raises UsageError."""
    if not dataset or dataset != Path(dataset).name or "\\" in dataset or dataset.startswith("."):
        raise UsageError(f"a data set's name is a plain word like mnist, not {dataset!r}")
    return dataset


def chosen_seeds(seeds: int) -> int:
    """A number of seeds. Raises UsageError."""
    if not 1 <= seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds is 1 to {MOST_SEEDS:,}, not {seeds:,}")
    return seeds


def chosen_place(workers: int | None, cluster: str | None, gpus_per_stack: float) -> Place:
    """Where to train. Raises UsageError."""
    if cluster is None:
        return Place(chosen_workers(workers, least=0))
    if workers is not None:
        raise UsageError("--workers and --cluster exclude each other: a cluster trains on all of its CPUs")
    if cluster != "auto" and not re.fullmatch(r"ray://[^/\s]+:\d+", cluster):
        raise UsageError(f"--cluster is auto or an address like ray://host:10001, not {cluster!r}")
    if not (0 < gpus_per_stack <= 1 or (gpus_per_stack > 1 and gpus_per_stack.is_integer())):
        raise UsageError(f"--gpus-per-stack is a share up to 1 or a whole number of GPUs, not {gpus_per_stack:g}")
    if find_spec("ray") is None:
        raise UsageError("--cluster needs Ray, which is not installed: `pip install .[ray]` gets it")
    return Place(cluster=cluster, gpus_per_stack=gpus_per_stack)


def chosen_workers(workers: int | None, least: int = 1) -> int:
    """A number of worker processes. Raises UsageError."""
    from bench.record.machine import usable_cores

    cores = usable_cores()
    if workers is None:
        return cores
    if not least <= workers <= 4 * cores:
        raise UsageError(f"--workers is {least} to {4 * cores} on this machine's {cores} cores, not {workers}")
    return workers


def _split(names: str, option: str) -> Sequence[str]:
    parts = [part.strip() for part in names.split(",")]
    if not all(parts):
        raise UsageError(f"{option} takes names with commas between, not {names!r}")
    return list(dict.fromkeys(parts))
