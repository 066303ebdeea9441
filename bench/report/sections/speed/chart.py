"""Training speed: the plain loop and the harness, side by side."""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.report.report import Report
from bench.report.sections.speed.speedups import Arm, Speedup, newest_speedups
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_ROWS, fold
from bench.report.show.machines import where_measured
from bench.report.show.style import GREY, INK, SMALL, figure, model_look
from bench.report.show.words import count, few, share, times, times_interval


def draw(report: Report) -> Chart | None:
    """A line per network and precision: a mark for each way to train, with its ratio to the plain loop beside it."""
    if not newest_speedups(report):
        return None
    speedups, folded = fold(
        newest_speedups(report),
        MOST_ROWS,
        lambda speedup: speedup.headline.speed,
        what="networks",
        first="those that train fastest",
        table="speed",
    )
    lines = [(speedup, arms) for speedup in speedups for arms in _by_precision(speedup)]
    page = figure(1.5 + 0.42 * len(lines))
    axes = page.subplots()
    for place, (speedup, arms) in enumerate(lines):
        _draw_line(axes, speedup, arms, place)
    axes.set_yticks(range(len(lines)), [f"{speedup.architecture}, {arms[0].precision}" for speedup, arms in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlim(0, max(arm.speed for speedup in speedups for arm in speedup.arms) * 1.42)
    axes.xaxis.set_major_formatter(lambda value, _: count(value))
    page.legend(handles=_handles(lines), loc="outside lower center", ncols=2)
    described = [f"{s.architecture} {times(s.headline.ratio.mean)} in {s.headline.precision}" for s in speedups]
    plain, headline = speedups[0].plain, speedups[0].headline
    axes.set_xlabel(f"images trained on per second, whole machine, {headline.ratio.n} rounds")
    return Chart(
        name="speed",
        title="Training speed against the plain loop",
        caption="Images a second while training, all cores busy (the plain loop in "
        f"{plain.processes} x {plain.threads}, the harness in {headline.processes} x {headline.threads} processes x "
        f"threads), medians over {headline.ratio.n} interleaved rounds; at the right the ratio to the plain loop's "
        f"best loading, which trains in {plain.precision} in every line, with its 95 % t interval, and the share of "
        f"the machine's fp32 peak where it was measured. Right is better. {where_measured(report, speedups)}{folded}",
        alt=f"Training speed of the harness in multiples of the plain loop in {plain.precision}: {few(described)}.",
        figure=page,
    )


def _by_precision(speedup: Speedup) -> list[list[Arm]]:
    """The harness's arms, those of the headline's precision first, each with its kernels on first."""
    by_precision: dict[str, list[Arm]] = {}
    for arm in speedup.others:
        by_precision.setdefault(arm.precision, []).append(arm)
    return [sorted(arms, key=lambda arm: arm.name != "harness") for arms in by_precision.values()]


def _handles(lines: list[tuple[Speedup, list[Arm]]]) -> list[Line2D]:
    looks = [("plain loop (fp32), best loading", GREY, "o", GREY), ("plain loop, other loading", "white", "o", GREY)]
    looks.append(("harness", INK, "s", INK))
    if any(arm.name == "unfused" for _, arms in lines for arm in arms):
        looks.append(("harness, torch's layers", "white", "s", INK))
    return [
        Line2D([], [], linewidth=0, marker=marker, color=colour, mec=edge, label=label)
        for label, colour, marker, edge in looks
    ]


def _draw_line(axes: Axes, speedup: Speedup, arms: list[Arm], place: int) -> None:
    colour = model_look(speedup.architecture)[0]
    best, fastest = speedup.plain, max(arm.speed for arm in arms)
    axes.plot([best.speed, fastest], [place, place], color="#d9d9d9", linewidth=3, zorder=1)
    for workers, speed in speedup.plain_speeds:
        face = GREY if workers == best.loader_workers else "white"
        axes.plot([speed], [place], "o", color=face, mec=GREY, markersize=6, zorder=3 if face == GREY else 2)
    for arm in arms:
        face = colour if arm.name == "harness" else "white"
        axes.plot([arm.speed], [place], "s", color=face, mec=colour, markersize=7, zorder=4 if face == colour else 3)
    ratio = arms[0].ratio
    interval, of_peak = times_interval(ratio.low, ratio.high), share(arms[0].share)
    text = times(ratio.mean) + (f" ({interval})" if interval else "") + (f"\n{of_peak} of peak" if of_peak else "")
    axes.annotate(text, (fastest, place), (9, 0), textcoords="offset points", va="center", fontsize=SMALL)
