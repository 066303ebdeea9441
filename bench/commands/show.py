"""`bench show`: a model layer by layer."""

from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import preset_cell
from bench.plan.factors import level_of
from bench.plan.levels import format_level


def show(
    words: Annotated[list[str], typer.Argument(metavar="[STUDY] MODEL", help="The study, and the model to show.")],
) -> None:
    """Print a model's layers: output shape, receptive field, parameters, multiply-accumulates."""
    rest = opt.split_study(words)
    if len(rest) != 1:
        raise UsageError(f"`bench show` shows one model: {', '.join(catalogue().architectures)}")
    cell = preset_cell(rest[0])

    from tabulate import tabulate

    from architectures.summary import summarise
    from bench.train.network import plain_network

    architecture = find_architecture(cell.architecture)
    summary = summarise(plain_network(cell, (1, 28, 28), 10), (1, 28, 28))
    print(f"{architecture.name}: {architecture.title}")
    print("Preset: " + ", ".join(f"{f.name} {format_level(level_of(cell.levels, f))}" for f in catalogue().factors))
    if architecture.published:
        published = architecture.published
        print(
            f"Published: {published.parameters:,} parameters, {published.test_accuracy:.2%} after "
            f"{published.epochs} epochs, one run"
        )
    print(f"Source: {architecture.source}\n")
    rows = [
        (
            layer.name,
            layer.kind,
            "x".join(map(str, layer.output)),
            layer.receptive_field or "all",
            f"{layer.parameters:,}",
            f"{layer.macs:,}",
        )
        for layer in summary.layers
    ]
    rows.append(("total", "", "", summary.receptive_field, f"{summary.parameters:,}", f"{summary.macs:,}"))
    print(
        tabulate(
            rows,
            headers=("layer", "kind", "output", "receptive field", "parameters", "MACs"),
            colalign=("left", "left", "right", "right", "right", "right"),
            disable_numparse=True,
        )
    )
    print("\nFor one 28x28 image; receptive field in pixels, its total that of the last convolution.")
