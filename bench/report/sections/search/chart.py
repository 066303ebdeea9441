"""The best network of a search by what it has cost."""

from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes

from bench.plan.halving import SEARCHED
from bench.report.report import Report
from bench.report.sections.search.results import SearchArm, searches
from bench.report.show.chart import Chart
from bench.report.show.style import GREY, figure, hover, model_look, percent, remark
from bench.report.show.words import listed, plural
from bench.report.show.words import percent as in_percent


def draw(report: Report) -> Chart | None:
    """A line for the search and one for random search; None where there was no search."""
    if not searches(report):
        return None
    one, *others = searches(report)
    page = figure(2.9)
    axes = page.subplots()
    for arm in reversed(one.arms):
        _draw_arm(axes, arm)
    # Networks that hardly learn would press those together that a search is about.
    reached = [accuracy for arm in one.arms for _, accuracy in arm.course]
    low, high = float(np.median(reached)) * 100, max(reached) * 100
    axes.set_ylim(low - 0.5 * (high - low) - 0.1, high + 0.2 * (high - low) + 0.1)
    below = sum(accuracy * 100 < axes.get_ylim()[0] for accuracy in reached)
    axes.set(xlabel="epochs trained", ylabel="held-out accuracy (%)")
    axes.set_xlim(0, max(arm.epochs for arm in one.arms) * 1.02)
    axes.grid(axis="both")
    page.legend(loc="outside lower center", ncols=2)
    return Chart(
        name="search",
        title="What a search has found by what it has cost",
        caption="Accuracy on held-out training images: a mark for each network that was trained for all epochs, a line "
        "for the best so far. Epochs are counted over all trials, those that successive halving ended early with them. "
        "The best of many on the same images is higher than it is on others."
        + remark(below > 0, f"{plural(below, 'network')} of {len(reached)} lie below the axis.")
        + remark(one.limit > 0, f"Networks have at most {one.limit:,} parameters and train in {one.precision}.")
        + remark(bool(others), "Smaller searches are in the table."),
        alt=f"Best held-out accuracy by epochs spent; in the end {listed([_in_words(arm) for arm in one.arms])}.",
        figure=page,
    )


def _draw_arm(axes: Axes, arm: SearchArm) -> None:
    colour, marker = model_look(arm.winner.architecture)
    colour, marker = (colour, marker) if arm.arm == SEARCHED else (GREY, "o")
    spent = [epochs for epochs, _ in arm.course]
    reached = [accuracy for _, accuracy in arm.course]
    best = list(accumulate(reached, max))
    axes.step(
        [*spent, arm.epochs], percent([*best, best[-1]]), where="post", color=colour, linewidth=1.8, label=arm.name
    )
    marks = axes.plot(spent, percent(reached), marker, color=colour, markersize=4.5, alpha=0.7, zorder=4)
    hover(marks[0], f"{arm.name}: networks trained for all epochs")


def _in_words(arm: SearchArm) -> str:
    return f"{arm.name} {in_percent(arm.held_out)} after {arm.epochs:,} epochs"
