"""What a run costs around the training, by its number of trials."""

from matplotlib.ticker import FuncFormatter, NullLocator

from bench.report.report import Report
from bench.report.sections.overhead.costs import newest_overheads
from bench.report.show.chart import Chart
from bench.report.show.machines import where_measured
from bench.report.show.style import GAIN, figure
from bench.report.show.words import count, listed, milliseconds


def draw(report: Report) -> Chart | None:
    """Milliseconds a trial against the number of trials, with intervals."""
    overheads = newest_overheads(report)
    if not overheads:
        return None
    page = figure(2.6)
    axes = page.subplots()
    axes.set_xscale("log")
    means = [overhead.seconds.mean * 1000 for overhead in overheads]
    counts = [overhead.trials for overhead in overheads]
    axes.plot(counts, means, "o-", color=GAIN, markersize=6, linewidth=1.2)
    for overhead in overheads:
        if overhead.seconds.has_interval:
            ends = [overhead.seconds.low * 1000, overhead.seconds.high * 1000]
            axes.plot([overhead.trials] * 2, ends, color=GAIN, linewidth=1.6)
    axes.set_xticks(counts)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, max(*means, *(overhead.seconds.maximum * 1000 for overhead in overheads)) * 1.15)
    axes.grid(axis="y")
    axes.set(xlabel=f"trials in the run, {overheads[0].seconds.n} rounds", ylabel="ms a trial, training left out")
    described = [f"{milliseconds(o.seconds.mean)} ms with {count(o.trials)} trials" for o in overheads]
    return Chart(
        name="overhead",
        title="What a run costs around the training",
        caption="Milliseconds a trial for everything but the training, against the number of trials in a run: means "
        f"over {overheads[0].seconds.n} rounds with their 95 % t intervals. Level means that long runs cost no more a "
        f"trial than short ones. {where_measured(report, overheads)}",
        alt=f"Cost of a trial around its training: {listed(described)}.",
        figure=page,
    )
