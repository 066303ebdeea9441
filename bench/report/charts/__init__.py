"""The charts of a report: pure functions of an analysis, the same bytes every time."""

from collections.abc import Iterator

from bench.report.analysis import Analysis
from bench.report.charts import (
    cells,
    confusion,
    curves,
    effects,
    ensembles,
    hardest,
    interactions,
    overhead,
    pareto,
    receptive_field,
    schedules,
    shapley,
    speed,
    sweeps,
)
from bench.report.charts.chart import Chart, save
from bench.report.charts.style import applied, settle

__all__ = ["Chart", "draw_charts", "save"]

_CHARTS = (
    effects,
    sweeps,
    cells,
    curves,
    pareto,
    schedules,
    receptive_field,
    interactions,
    shapley,
    ensembles,
    confusion,
    hardest,
    speed,
    overhead,
)


def draw_charts(analysis: Analysis) -> Iterator[Chart]:
    """The charts that the rows can fill, in reading order."""
    for module in _CHARTS:
        with applied():
            chart = module.draw(analysis)
            if chart is not None:
                settle(chart.figure)
        if chart is not None:
            yield chart
