"""`bench show`: a model layer by layer."""

from typing import Annotated

import typer

from bench.plan.cells import preset_cell
from bench.plan.factors import FACTORS, format_level, level_of


def show(model: Annotated[str, typer.Argument(help="The model to show: model1, model2, ...")]) -> None:
    """Print a model's layers: output shape, receptive field, parameters, multiply-accumulates."""
    cell = preset_cell(model)

    from tabulate import tabulate

    from architectures.registry import get
    from architectures.summary import summarise

    architecture = get(cell.architecture)
    summary = summarise(architecture, cell.levels, (1, 28, 28), 10)
    print(f"{architecture.name}: {architecture.title}")
    print("Preset: " + ", ".join(f"{f.name} {format_level(level_of(cell.levels, f))}" for f in FACTORS))
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
