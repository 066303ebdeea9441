"""Training speed: the plain loop and the harness, side by side."""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.report.report import Report
from bench.report.sections.speed.speedups import Speedup, newest_speedups
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_ROWS, fold
from bench.report.show.machines import where_measured
from bench.report.show.style import GREY, INK, figure, model_look
from bench.report.show.words import count, few, times, times_interval


def draw(report: Report) -> Chart | None:
    """A row per network: a mark for each way to feed the plain loop, one for the harness, the ratio beside it."""
    if not newest_speedups(report):
        return None
    speedups, folded = fold(
        newest_speedups(report),
        MOST_ROWS,
        lambda speedup: speedup.harness_speed,
        what="networks",
        first="those that train fastest",
        table="speed",
    )
    page = figure(1.15 + 0.5 * len(speedups))
    axes = page.subplots()
    for place, speedup in enumerate(speedups):
        _draw_row(axes, speedup, place)
    axes.set_yticks(range(len(speedups)), [speedup.architecture for speedup in speedups])
    axes.set_ylim(len(speedups) - 0.5, -0.5)
    axes.set_xlim(0, max(speedup.harness_speed for speedup in speedups) * 1.32)
    axes.xaxis.set_major_formatter(lambda value, _: count(value))
    axes.set_xlabel("images trained on per second, whole machine")
    looks = [
        ("plain loop, best loading", GREY, "o"),
        ("plain loop, other loading", "white", "o"),
        ("harness", INK, "s"),
    ]
    handles = [
        Line2D([], [], linewidth=0, marker=marker, color=colour, mec=GREY if marker == "o" else INK, label=label)
        for label, colour, marker in looks
    ]
    page.legend(handles=handles, loc="outside lower center", ncols=3)
    described = [f"{s.architecture} {times(s.ratio.mean)}" for s in speedups]
    rounds = speedups[0].ratio.n
    return Chart(
        name="speed",
        title="Training speed against the plain loop",
        caption="Images a second while training, all cores busy, medians over "
        f"{rounds} interleaved rounds; at the right the ratio to the plain loop's best loading, with its 95 % t "
        f"interval. Right is better. {where_measured(report, speedups)}{folded}",
        alt=f"Training speed of the harness in multiples of the plain loop: {few(described)}.",
        figure=page,
    )


def _draw_row(axes: Axes, speedup: Speedup, place: int) -> None:
    colour = model_look(speedup.architecture)[0]
    best = speedup.plain_speed
    axes.plot([best, speedup.harness_speed], [place, place], color="#d9d9d9", linewidth=3, zorder=1)
    for workers, speed in speedup.plain_speeds:
        face = GREY if workers == speedup.loader_workers else "white"
        axes.plot([speed], [place], "o", color=face, mec=GREY, markersize=6, zorder=3 if face == GREY else 2)
    axes.plot([speedup.harness_speed], [place], "s", color=colour, markersize=7, zorder=3)
    interval = times_interval(speedup.ratio.low, speedup.ratio.high)
    text = times(speedup.ratio.mean) + (f" ({interval})" if interval else "")
    axes.annotate(text, (speedup.harness_speed, place), (9, 0), textcoords="offset points", va="center")
