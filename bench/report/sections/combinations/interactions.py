"""Heat maps of what techniques do together."""

from dataclasses import replace
from textwrap import fill

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bench.report.report import Report
from bench.report.sections.combinations.factorials import Factorial, factorials
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, fold
from bench.report.show.style import GAIN, INK, LOSS, draw_squares, figure, remark, seeds_words, short
from bench.report.show.words import listed, points, points_interval
from bench.report.stats.estimate import Estimate

# Up to so many rows, with intervals of up to so many letters, leave room for a second heat map beside the first.
_FEW_ROWS, _FEW_LETTERS = 3, 14

# More main effects than that leave no room for an interval in a square.
_MOST_EFFECTS = 8


def draw(report: Report) -> Chart | None:
    """One heat map per factorial; None where there is none."""
    if not factorials(report):
        return None
    designs, folded = fold(
        [_largest_effects(design) for design in factorials(report)],
        MOST_PANELS // 2,
        lambda design: max(abs(effect.effect.mean) for effect in design.effects),
        what="sets of combinations",
        first="those with the largest effects",
        table="factorial",
    )
    clipped = max(len(design.effects) for design in factorials(report)) > _MOST_EFFECTS
    sides = [len(design.effects) for design in designs]
    squares = [square for design in designs for square in _squares(design).values()]
    letters = max(len(points_interval(square.low, square.high)) for square in squares)
    columns = 2 if len(designs) > 1 and max(sides) <= _FEW_ROWS and letters <= _FEW_LETTERS else 1
    rows = -(-len(designs) // columns)
    page = figure(rows * (0.5 * max(sides) + 0.8))
    panels = page.subplots(rows, columns, squeeze=False).flatten()
    strongest = max(abs(square.mean) for square in squares)
    for axes, design in zip(panels, designs, strict=False):
        _draw_design(axes, design, strongest or 1)
    for axes in panels[len(designs) :]:
        axes.set_visible(False)
    return Chart(
        name="interactions",
        title="Techniques together",
        caption="Percentage points of test accuracy, with 95 % t intervals over seeds "
        f"({seeds_words([design.seeds for design in designs])}), from every combination of the levels. Framed: what a "
        "technique adds, averaged over the others. Below: how much more one adds when the other is there; 0 means that "
        "the two simply add up. Blue is a gain, orange a loss."
        + remark(clipped, f"Of many techniques the {_MOST_EFFECTS} with the largest effects are shown.")
        + folded,
        alt=f"Main effects of techniques {'; '.join(_in_words(design) for design in designs)}.",
        figure=page,
    )


def _largest_effects(design: Factorial) -> Factorial:
    """The design with no more main effects than a heat map has room for, and the interactions between those."""
    if len(design.effects) <= _MOST_EFFECTS:
        return design
    ranked = sorted(design.effects, key=lambda main: abs(main.effect.mean), reverse=True)[:_MOST_EFFECTS]
    kept = {(main.factor, main.level) for main in ranked}
    return replace(
        design,
        effects=tuple(main for main in design.effects if (main.factor, main.level) in kept),
        interactions=tuple(
            pair for pair in design.interactions if kept.issuperset(zip(pair.factors, pair.levels, strict=True))
        ),
    )


def _squares(design: Factorial) -> dict[tuple[int, int], Estimate]:
    """Main effects on the diagonal, interactions below it."""
    row_of = {(effect.factor, effect.level): row for row, effect in enumerate(design.effects)}
    squares = {(row, row): effect.effect for row, effect in enumerate(design.effects)}
    for pair in design.interactions:
        one, other = (row_of[key] for key in zip(pair.factors, pair.levels, strict=True))
        squares[max(one, other), min(one, other)] = pair.effect
    return squares


def _draw_design(axes: Axes, design: Factorial, strongest: float) -> None:
    names = _names(design)
    means = np.full((len(names), len(names)), np.nan)
    for place, square in _squares(design).items():
        means[place] = square.mean
        _write(axes, *place, square, light=abs(square.mean) > 0.6 * strongest)
    palette = sns.blend_palette([LOSS, "#f7f7f7", GAIN], as_cmap=True)
    look = {"cmap": palette, "vmin": -strongest, "vmax": strongest, "linewidths": 2, "edgecolors": "white"}
    draw_squares(axes, means, **look)
    for row in range(len(names)):
        axes.add_patch(Rectangle((row, row), 1, 1, fill=False, edgecolor=INK, linewidth=1.2, clip_on=False))
    ticks = np.arange(len(names)) + 0.5
    axes.set_title(design.architecture)
    axes.set_xticks(ticks, [fill(name, 14) for name in names], fontsize=8)
    axes.set_yticks(ticks, [fill(name, 16) for name in names], va="center")
    axes.tick_params(length=0)


def _names(design: Factorial) -> list[str]:
    """The rows' names, one a main effect."""
    return [short(design.in_words(main.factor, main.level)) for main in design.effects]


def _write(axes: Axes, row: int, column: int, square: Estimate, *, light: bool) -> None:
    colour = "white" if light else INK
    interval = points_interval(square.low, square.high)
    place = "bottom" if interval else "center"
    axes.text(column + 0.5, row + 0.5, points(square.mean), ha="center", va=place, color=colour)
    axes.text(column + 0.5, row + 0.56, interval, ha="center", va="top", color=colour, fontsize=7)


def _in_words(design: Factorial) -> str:
    effects = zip(_names(design), design.effects, strict=True)
    mains = [f"{name} {points(effect.effect.mean)}" for name, effect in effects]
    return f"on {design.architecture}, in points: {listed(mains)}"
