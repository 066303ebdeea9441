"""Options that several commands share."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.session.request import (
    MOST_SEEDS,
    Place,
    chosen_cells,
    chosen_design,
    chosen_models,
    chosen_place,
    chosen_search,
    chosen_seeds,
    chosen_spending,
    chosen_until,
    chosen_workers,
    held_out_protocol,
    plain_name,
    protocol_of,
    root_of,
)

# What the options mean is for commands to be found here as well.
__all__ = [
    "MOST_SEEDS",
    "Place",
    "chosen_cells",
    "chosen_design",
    "chosen_models",
    "chosen_place",
    "chosen_search",
    "chosen_seeds",
    "chosen_spending",
    "chosen_until",
    "chosen_workers",
    "held_out_protocol",
    "plain_name",
    "protocol_of",
    "root_of",
]

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
SeveralResults = Annotated[
    list[Path] | None,
    typer.Option(
        "--results",
        help="Where the rows are, as `bench run` has it. Given several times, folders are joined: a trial that "
        "several have counts once, as the first has it. Default: results.",
        metavar="ROOT",
        show_default=False,
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
        "(every combination); path (from one model's preset to another's, a factor at a time); transfer (every "
        "combination of what trainings start from and how many images they have). Default: the study's, toggles.",
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
    typer.Option(
        "--epochs", help="Passes over the training images. Default: the study's, or the data set's.", show_default=False
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", help="Images per training step. Default: the study's, or the data set's.", show_default=False
    ),
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
        help="fp32, bf16 (convolutions in bfloat16, the rest in float32), or auto: fp32 on a CPU, bf16 on a GPU "
        "that has it in hardware. Rows of different precisions are never pooled. Default: the study's, auto.",
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
Readouts = Annotated[
    str | None,
    typer.Option(
        "--readouts",
        help="Ways to predict with what each training left, beside its last weights and paired with these: norms, ema, "
        "swa, snapshots, tta, with commas between; last keeps the probabilities only, of which ensembles of seeds are "
        "made. Default: the study's, none.",
        metavar="NAMES",
        show_default=False,
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


def roots_of(results: Sequence[Path] | None) -> list[Path]:
    """Where the study's rows lie in each of the folders that were given."""
    return [root_of(folder) for folder in results or [Path("results")]]


def say_different(trials: int) -> None:
    """Says of joined folders how many trials they disagree about."""
    if trials:
        print(
            f"bench: {trials} trials ended otherwise in another of the folders; "
            "the first folder that has a trial counts",
            file=sys.stderr,
        )


def use_study(text: str | None) -> None:
    """Makes the study that a command names the one in use. Raises UsageError."""
    if text is not None:
        from bench.plan.catalogue import use
        from bench.studies.load import load_study

        use(load_study(text))


def split_study(words: Sequence[str]) -> list[str]:
    """Puts the study that the first of a command's words names in use; the other words. Raises UsageError."""
    from bench.studies.load import looks_like_study

    if not words or not looks_like_study(words[0]):
        return list(words)
    use_study(words[0])
    return list(words[1:])
