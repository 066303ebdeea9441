"""`bench show`: a model layer by layer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import preset_cell
from bench.plan.factors import level_of
from bench.plan.levels import format_level

if TYPE_CHECKING:
    from bench.train.summary import LayerRow, Summary


def show(
    words: Annotated[list[str], typer.Argument(metavar="[STUDY] MODEL", help="The study, and the model to show.")],
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
) -> None:
    """Print a model's layers on the images of a data set: output shape, receptive field, parameters,
    multiply-accumulates."""
    rest = opt.split_study(words)
    if len(rest) != 1:
        raise UsageError(f"`bench show` shows one model: {', '.join(catalogue().architectures)}")
    cell = preset_cell(rest[0])

    from tabulate import tabulate

    from bench.run.networks import cell_summary
    from bench.sources.dataset import choose_dataset
    from bench.train.network import shape_text

    architecture = find_architecture(cell.architecture)
    chosen, _ = choose_dataset(dataset, data_dir)
    data = chosen.load(data_dir)
    summary = cell_summary(cell, data.input_shape, data.classes)
    print(": ".join(filter(None, (architecture.name, architecture.title))))
    print("Preset: " + ", ".join(f"{f.name} {format_level(level_of(cell.levels, f))}" for f in catalogue().factors))
    if architecture.published:
        published = architecture.published
        print(
            f"Published: {published.parameters:,} parameters, {published.test_accuracy:.2%} after "
            f"{published.epochs} epochs, one run"
        )
    if architecture.source:
        print(f"Source: {architecture.source}")
    print()
    print(
        tabulate(
            _rows(summary),
            headers=("layer", "kind", "output", "receptive field", "parameters", "MACs"),
            colalign=("left", "left", "right", "right", "right", "right"),
            disable_numparse=True,
        )
    )
    print(
        f"\nFor one {shape_text(data.input_shape)} image of {data.name} ({data.classes} classes); "
        "receptive field in pixels, its total that of the last map."
    )


def _rows(summary: "Summary") -> list[tuple[str, ...]]:
    rows = [_row(layer) for layer in summary.layers]
    total = _field(summary.receptive_field)
    return [*rows, ("total", "", "", total, f"{summary.parameters:,}", f"{summary.macs:,}")]


def _row(layer: "LayerRow") -> tuple[str, ...]:
    counts = f"{layer.parameters:,}", f"{layer.macs:,}"
    if layer.output is None:
        return layer.name, layer.kind, "never called", "", *counts
    return layer.name, layer.kind, "x".join(map(str, layer.output)), _field(layer.receptive_field), *counts


def _field(side: int | None) -> str:
    return "whole image" if side is None else str(side)
