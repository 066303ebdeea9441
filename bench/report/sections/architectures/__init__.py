"""The models at their presets: layers, techniques, cost."""

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.factors import Factor, level_of
from bench.plan.levels import format_level
from bench.report.report import Report
from bench.report.sections.architectures.layers import layers
from bench.report.sections.cells.results import CellResult, preset_results
from bench.report.sections.section import Section
from bench.report.sections.targets import published_accuracies
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import count, percent, percent_interval

# What stands for a receptive field without a number.
WHOLE_IMAGE = "whole image"


def architecture_table(report: Report) -> Table:
    """One row per model whose preset was trained."""
    published = published_accuracies(report)
    return Table(
        name="architectures",
        title="The models",
        caption="Layers, receptive field (pixels) and multiply-accumulates of one image are computed; accuracy is "
        "the last epoch's on the test set, a mean over seeds with its 95 % t interval; throughputs are medians in "
        "images/s with one thread.",
        columns=(
            text_column("model", "model"),
            number_column("parameters", "parameters", count, falling=False),
            number_column("layers", "layers", str),
            number_column("pools", "pools", str),
            *(text_column(factor.name.replace("_", " "), factor.column) for factor in _listed_factors()),
            number_column("receptive field", "receptive_field", str),
            number_column("MACs", "macs", count, falling=False),
            *([number_column("published", "published", percent)] if published else []),
            number_column("measured", "accuracy", percent),
            interval_column("95 % interval", "accuracy", percent_interval),
            number_column("n", "n", str),
            number_column("training", "train_speed", count),
            number_column("inference", "inference_speed", count),
        ),
        rows=tuple(_architecture_row(report, result) for result in preset_results(report)),
    )


def _architecture_row(report: Report, result: CellResult) -> TableRow:
    architecture = find_architecture(result.cell.architecture)
    levels = result.cell.levels
    known = layers(report).get(result.cell)
    return {
        "model": architecture.name,
        "parameters": result.cost.parameters,
        "layers": None if known is None else sum(layer.macs > 0 for layer in known),
        "pools": None if known is None else sum(layer.is_pool for layer in known),
        **{factor.column: format_level(level_of(levels, factor)) for factor in _listed_factors()},
        "receptive_field": WHOLE_IMAGE if result.cost.receptive_field is None else result.cost.receptive_field,
        "macs": result.cost.macs,
        "published": published_accuracies(report).get(result.cell),
        **flat("accuracy", result.accuracy),
        "train_speed": result.cost.train_speed,
        "inference_speed": result.cost.inference_speed,
    }


def _listed_factors() -> list[Factor]:
    """Those with levels to choose from: the text of an open one would fill the page."""
    return [factor for factor in catalogue().factors if not factor.is_open]


SECTION = Section("architectures", "The models", tables=(architecture_table,))
