"""What a run costs around the training."""

from bench.report.analysis import Analysis
from bench.report.machines import where_measured
from bench.report.overhead import Overhead
from bench.report.tables.table import Table, flat, interval_column, number_column
from bench.report.words import count, milliseconds, milliseconds_interval


def overhead_table(analysis: Analysis) -> Table:
    """One row per number of trials that `bench speed --overhead` timed."""
    return cost_table(analysis.overheads, where_measured(analysis, analysis.overheads))


def cost_table(overheads: tuple[Overhead, ...], where: str = "") -> Table:
    """The table of some samples of one run; `where` is a sentence that names its machine."""
    return Table(
        name="overhead",
        title="What a run costs around the training",
        caption="Milliseconds a trial to build the network, hand the trial over, record its rows and count it, without "
        "training it, in runs of so many trials; means over rounds with their 95 % t interval. Starting the worker "
        f"processes, which happens once a run, is left out. {where}".rstrip(),
        columns=(
            number_column("trials", "trials", count),
            number_column("ms a trial", "seconds", milliseconds),
            interval_column("95 % interval", "seconds", milliseconds_interval),
            number_column("rounds", "n", str),
            number_column("processes", "processes", str),
        ),
        rows=tuple(
            {"trials": overhead.trials, "processes": overhead.processes, **flat("seconds", overhead.seconds)}
            for overhead in overheads
        ),
    )
