"""Options that several commands share, and what they mean together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.errors import UsageError, near_matches
from bench.plan.catalogue import catalogue, find_architecture, find_factors
from bench.plan.cells import Cell
from bench.plan.designs import DESIGNS
from bench.plan.protocol import Device, Optimizer, Precision, Protocol

MOST_SEEDS = 10_000

StudyName = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]",
        help="A study of your own: a file like my_study.py, module:NAME, or an installed one's name. Default: the "
        "built-in one.",
        show_default=False,
    ),
]
DatasetName = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="One of the study's data sets; `bench data list` has the built-in ones. Default: the study's first, or "
        "of the built-in ones the largest whose files are in the data directory.",
        show_default=False,
    ),
]
DataDir = Annotated[Path, typer.Option("--data-dir", help="Where the files of data sets lie, in torchvision's layout.")]
Results = Annotated[
    Path,
    typer.Option(
        "--results", help="Rows go to ROOT/<dataset>/, a user's study's to ROOT/<study>/<dataset>/.", metavar="ROOT"
    ),
]
AllModels = Annotated[bool, typer.Option("--all", help="Every model of the study.")]
Models = Annotated[
    str | None,
    typer.Option("--models", help="These models, with commas between.", show_default=False),
]
DesignName = Annotated[
    str | None,
    typer.Option(
        "--design",
        help="How cells are chosen: presets; toggles (the preset, and every other level of each factor); factorial "
        "(every combination); path (from one model's preset to another's, a factor at a time). Default: the study's, "
        "toggles.",
        show_default=False,
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
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        help="Trials per cell: a number N for seeds 0 to N-1, or the seeds themselves, as in 0-9,20. Default: the "
        "study's, 5.",
        metavar="N",
        show_default=False,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", help="Passes over the training images. Default: the study's, 15.", show_default=False),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", help="Images per training step. Default: the study's, 64.", show_default=False),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr",
        help="One learning rate for every cell (where the schedule moves it, its peak). Default: the rate that the "
        "study gives the cell.",
        show_default=False,
    ),
]
OptimizerName = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        help="sgd (momentum 0.9) or adamw; adamw needs --lr. Default: the study's, sgd.",
        show_default=False,
    ),
]
PrecisionName = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="fp32, bf16 (convolutions in bfloat16, the rest in float32), or auto: bf16 where the device has it "
        "in hardware. Rows of different precisions are never pooled. Default: the study's, auto.",
        show_default=False,
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


def use_study(text: str | None) -> None:
    """Makes the study that a command names the one in use. Raises UsageError."""
    if text is not None:
        from dataclasses import replace

        from bench.plan.catalogue import use
        from bench.studies.load import load_study

        use(replace(load_study(text), named=text))


def split_study(words: Sequence[str]) -> list[str]:
    """Puts the study that the first of a command's words names in use; the other words. Raises UsageError."""
    from bench.studies.load import looks_like_study

    if not words or not looks_like_study(words[0]):
        return list(words)
    use_study(words[0])
    return list(words[1:])


def root_of(folder: Path) -> Path:
    """Where the study's rows or reports lie: a user's study has a folder of its own."""
    return folder / catalogue().name if catalogue().name else folder


def protocol_of(
    epochs: int | None,
    precision: str | None,
    device: str,
    *,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: str | None = None,
    val: int = 0,
) -> Protocol:
    """The options as a protocol, checked before the data are loaded; what isn't given is the study's. Raises
    UsageError.

    The data set, and precision and device where they are auto, are filled in by `bench.commands.session.settle`.
    """
    study = catalogue().defaults
    precision = precision or study.precision
    return Protocol(
        dataset="",
        epochs=study.epochs if epochs is None else epochs,
        batch_size=study.batch_size if batch_size is None else batch_size,
        optimizer=cast(Optimizer, optimizer or study.optimizer),
        lr=study.lr if lr is None else lr,
        precision=cast(Precision, "fp32" if precision == "auto" else precision),
        device=cast(Device, "cpu" if device == "auto" else device),
        val=val,
    )


def chosen_design(design: str | None) -> str:
    """The design's name. Raises UsageError."""
    design = design or catalogue().defaults.design
    if design not in DESIGNS:
        raise UsageError(f"no design is called {design!r}: {near_matches(design, DESIGNS)}")
    return design


def chosen_cells(all_models: bool, models: str | None, design: str | None, factors: str | None) -> list[Cell]:
    """The distinct cells that the options ask for. Raises UsageError."""
    design = chosen_design(design)
    names = chosen_models(all_models, models)
    varied = catalogue().factors if factors is None else find_factors(_split(factors, "--factors"))
    return list(dict.fromkeys(DESIGNS[design](names, varied)))


def chosen_models(all_models: bool, models: str | None) -> list[str]:
    """The architectures that --all and --models ask for. Raises UsageError."""
    if all_models and models is not None:
        raise UsageError("--all and --models exclude each other: give one of them")
    if all_models or (models is None and catalogue().name):
        return list(catalogue().architectures)
    if models is None:
        raise UsageError(f"say what to run: --all, or --models with some of {', '.join(catalogue().architectures)}")
    return [find_architecture(name).name for name in _split(models, "--models")]


def plain_name(dataset: str) -> str:
    """The name of a data set's folder, which lies in --results and in --reports and nowhere else. Raises UsageError."""
    if not dataset or dataset != Path(dataset).name or "\\" in dataset or dataset.startswith("."):
        raise UsageError(f"a data set's name is a plain word like pebbles, not {dataset!r}")
    return dataset


def chosen_seeds(seeds: str | None) -> tuple[int, ...]:
    """The seeds, in ascending order. Raises UsageError."""
    text = str(catalogue().defaults.seeds) if seeds is None else seeds.strip()
    if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        if not 1 <= int(text) <= MOST_SEEDS:
            raise UsageError(f"--seeds is 1 to {MOST_SEEDS:,}, not {int(text):,}")
        return tuple(range(int(text)))
    found: set[int] = set()
    for part in text.split(","):
        span = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part.strip(), re.ASCII)
        if span is None:
            raise UsageError(f"--seeds is a number of seeds, or seeds like 0-9,20, not {text!r}")
        first, last = int(span[1]), int(span[2] or span[1])
        if not first <= last < MOST_SEEDS:
            raise UsageError(f"--seeds: {part.strip()} is no range of seeds between 0 and {MOST_SEEDS - 1:,}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


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
