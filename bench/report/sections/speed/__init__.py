"""Training speed against the plain loop."""

from bench.report.report import Report
from bench.report.sections.section import Section
from bench.report.sections.speed.speedups import Speedup, newest_speedups
from bench.report.show.machines import where_measured
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import count, megabytes, times, times_interval


def speed_table(report: Report) -> Table:
    """One row per network that `bench speed` timed."""
    return speedup_table(newest_speedups(report), where_measured(report, newest_speedups(report)))


def speedup_table(speedups: tuple[Speedup, ...], where: str = "") -> Table:
    """The table of some comparisons of one run; `where` is a sentence that names its machine."""
    return Table(
        name="speed",
        title="Training speed against the plain loop",
        caption="Images a second while training the model at its preset, all cores busy: the plain loop (one image "
        "at a time through torchvision, a DataLoader with the best of 0, 1 and 2 workers, fp32) and this harness (a "
        "trial in each of its worker processes). Medians over interleaved rounds; the ratio with the 95 % t interval "
        f"of its logarithm. {where}".rstrip(),
        note="MB are what all processes hold at their peak, the libraries and the data that they share counted once; "
        "'training MB' what training adds to one of them.",
        columns=(
            text_column("model", "model"),
            number_column("plain loop", "plain_speed", count),
            number_column("its workers", "loader_workers", str),
            number_column("harness", "harness_speed", count),
            number_column("processes", "processes", str),
            text_column("precision", "precision"),
            number_column("ratio", "ratio", times),
            interval_column("95 % interval", "ratio", times_interval),
            number_column("rounds", "n", str),
            number_column("plain MB", "plain_memory", megabytes),
            number_column("harness MB", "harness_memory", megabytes),
            number_column("plain training MB", "plain_training", megabytes),
            number_column("harness training MB", "harness_training", megabytes),
        ),
        rows=tuple(_row(speedup) for speedup in speedups),
    )


def _row(speedup: Speedup) -> TableRow:
    return {
        "model": speedup.architecture,
        "plain_speed": speedup.plain_speed,
        "loader_workers": speedup.loader_workers,
        "harness_speed": speedup.harness_speed,
        "processes": speedup.processes,
        "precision": speedup.precision,
        **flat("ratio", speedup.ratio),
        "plain_memory": speedup.plain_memory,
        "harness_memory": speedup.harness_memory,
        "plain_training": speedup.plain_training,
        "harness_training": speedup.harness_training,
    }


SECTION = Section("speed", tables=(speed_table,), charts=("speed.chart",))
