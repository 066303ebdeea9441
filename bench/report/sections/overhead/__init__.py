"""What a run costs around the training."""

from bench.report.report import Report
from bench.report.sections.overhead.costs import Overhead, newest_overheads
from bench.report.sections.section import Section
from bench.report.show.machines import where_measured
from bench.report.show.table import Table, flat, interval_column, number_column
from bench.report.show.words import count, milliseconds, milliseconds_interval


def overhead_table(report: Report) -> Table:
    """One row per number of trials that `bench speed --overhead` timed."""
    return cost_table(newest_overheads(report), where_measured(report, newest_overheads(report)))


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


SECTION = Section("overhead", tables=(overhead_table,), charts=("overhead.chart",))
