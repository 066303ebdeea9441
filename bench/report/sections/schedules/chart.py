"""The learning rate over training."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType

from bench.plan.catalogue import ARCHITECTURE, catalogue, find_factors
from bench.plan.factors import level_of
from bench.plan.levels import Level
from bench.report.choosing import SELECTED
from bench.report.report import Report
from bench.report.sections.progress.curves import Curve, learning_curves
from bench.report.show.chart import Chart
from bench.report.show.style import INK, figure, level_label, remark, spread
from bench.report.show.words import listed, sentence

# How lines of different levels are told apart, and how many letters a panel's title has room for.
_STYLES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.")
_TITLE = 18


def draw(report: Report) -> Chart | None:
    """One panel per scheduler and one line per rate; None where no epochs were recorded."""
    if not learning_curves(report):
        return None
    [scheduler] = find_factors(["scheduler"])
    courses: dict[Level, dict[float, list[Curve]]] = {level: {} for level in scheduler.levels}
    for curve in learning_curves(report):
        rate = float(report.evidence.rows(curve.cell)["lr"].iloc[0])
        courses[level_of(curve.cell.levels, scheduler)].setdefault(rate, []).append(curve)
    used = {level_label(scheduler, level): own for level, own in courses.items() if own}
    whose = list(dict.fromkeys(_whose(curves) for own in courses.values() for curves in own.values()))
    styles = dict(zip(whose, cycle(_STYLES), strict=False))
    page = figure(2.5 + (0.25 if any(whose) else 0))
    panels = page.subplots(1, len(used), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, own) in zip(panels, used.items(), strict=True):
        axes.set_title(fill(sentence(name), _TITLE))
        _draw_rates(axes, own, styles, highest=max(rate for rates in used.values() for rate in rates))
    panels[0].set_ylabel("learning rate")
    if any(whose):
        keys = [Line2D([], [], color=INK, linestyle=style, label=name or "others") for name, style in styles.items()]
        page.legend(handles=keys, loc="outside lower center", ncols=4)
    rates = [f"{name} {listed([f'{rate:g}' for rate in sorted(own)])}" for name, own in used.items()]
    chosen = report.evidence.known_rates
    selected = report.evidence.protocol["rate"] == SELECTED and bool(chosen.source)
    return Chart(
        name="schedules",
        title="Learning rates",
        caption="The learning rate at the start of each epoch, labelled with the rate that the schedule is set to; the "
        "same for every seed."
        + remark(
            scheduler.is_looked_up and bool(courses.get("onecycle") or courses.get("cosine")),
            "One-cycle and cosine rates move after every batch, and a one-cycle rate reaches its peak within an epoch.",
        )
        + remark(selected, f"Rates were {chosen.source}, {_for_each(chosen.by)}."),
        alt=f"Learning rate by epoch: {'; '.join(rates)}.",
        figure=page,
    )


def _whose(curves: Sequence[Curve]) -> str:
    """The levels that rates go by and that all of the curves' cells share: `batch norm`."""
    shared = []
    for factor in find_factors([name for name in catalogue().rates.by if name != ARCHITECTURE]):
        levels = {level_of(curve.cell.levels, factor) for curve in curves}
        if factor.name != "scheduler" and len(levels) == 1:
            shared.append(level_label(factor, levels.pop()))
    return ", ".join(shared)


def _for_each(factors: Sequence[str]) -> str:
    return f"one for each {listed([name.replace('_', ' ') for name in factors])}" if factors else "one for all cells"


def _draw_rates(
    axes: Axes, courses: Mapping[float, Sequence[Curve]], styles: Mapping[str, LineStyleType], highest: float
) -> None:
    axes.grid(axis="both")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylim(0, highest * 1.15)
    places = spread([float(curves[0].points["lr"].max()) for curves in courses.values()], highest * 0.09)
    for (rate, curves), place in zip(courses.items(), places, strict=True):
        rates = curves[0].points["lr"]
        axes.plot(rates.index, rates, linestyle=styles[_whose(curves)], color=INK, linewidth=1.6)
        top = float(rates.index[rates == rates.max()].to_numpy().mean())
        axes.annotate(
            f"{rate:g}",
            (top, place),
            (0, 4),
            textcoords="offset points",
            ha="left" if top == rates.index[0] else "center",
            fontsize=8.5,
        )
