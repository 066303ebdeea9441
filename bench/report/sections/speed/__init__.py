"""Training speed against the plain loop."""

import math
from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.section import Place, Section
from bench.report.sections.speed.speedups import Arm, Speedup, newest_speedups
from bench.report.show.machines import where_measured
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import count, gigaflops, megabytes, share, times, times_interval

_WAYS = {"plain": "plain loop", "harness": "harness", "unfused": "harness, torch's layers"}


def speed_table(report: Report) -> Table:
    """A row for each way to train each network that `bench speed` timed."""
    return speedup_table(newest_speedups(report), where_measured(report, newest_speedups(report)))


def speedup_table(speedups: tuple[Speedup, ...], where: str = "") -> Table:
    """The table of some comparisons of one run; `where` is a sentence that names its machine."""
    return Table(
        name="speed",
        title="Training speed against the plain loop",
        caption="Images a second while training the model at its preset, all cores busy: the plain loop (one image "
        "at a time through torchvision, a DataLoader with the best of 0, 1 and 2 workers, fp32), this harness (a "
        "trial in each of its worker processes), and this harness with its kernels off, on torch's own layers. Medians "
        "over interleaved rounds; the ratio is to the plain loop in fp32, of the same rounds, with the 95 % t "
        "interval of its logarithm: like to like in the lines of fp32, and in those of another precision what that "
        f"adds too. {' '.join(filter(None, (_peak(speedups), where)))}".rstrip(),
        note="GFLOP/s are twice the network's multiply-accumulates, forward and backward, as torch's FLOP counter sees "
        "them, whatever really is computed; 'of peak' is their share of what all cores did in fp32 at once, "
        "in a loop of multiply-adds in registers, in the same round, for other precisions too. MB are what all "
        "processes hold at their peak, the libraries and the data that they share counted once; 'training MB' what "
        "training adds to one of them.",
        columns=(
            text_column("model", "model"),
            text_column("trained by", "way"),
            text_column("precision", "precision"),
            text_column("processes x threads", "cores"),
            number_column("loading processes", "loader_workers", str),
            number_column("images/s", "speed", count),
            number_column("GFLOP/s", "flops", gigaflops),
            number_column("of peak", "share", share),
            number_column("to plain fp32", "ratio", times),
            interval_column("95 % interval", "ratio", times_interval),
            number_column("rounds", "n", str),
            number_column("MB", "memory", megabytes),
            number_column("training MB", "training", megabytes),
        ),
        rows=tuple(_rows(speedups)),
    )


def _rows(speedups: tuple[Speedup, ...]) -> Iterator[TableRow]:
    for speedup in speedups:
        for arm in speedup.arms:
            yield {"model": speedup.architecture, **_figures(arm)}


def _figures(arm: Arm) -> TableRow:
    return {
        "way": _WAYS[arm.name],
        "precision": arm.precision,
        "processes": arm.processes,
        "threads": arm.threads,
        "cores": f"{arm.processes} x {arm.threads}",
        "loader_workers": arm.loader_workers,
        "speed": arm.speed,
        "flops": arm.flops,
        "share": arm.share,
        **flat("ratio", arm.ratio),
        "memory": arm.memory,
        "training": arm.training,
    }


def _peak(speedups: tuple[Speedup, ...]) -> str:
    """A sentence that says what the machine can do, where it was measured."""
    if not speedups or math.isnan(speedups[0].peak_flops):
        return ""
    peak, copied = speedups[0].peak_flops, speedups[0].copied_bytes
    return (
        f"All cores at once did {gigaflops(peak)} GFLOP/s in fp32 in a loop of multiply-adds in registers, and read "
        f"and wrote {copied / 1e9:.0f} GB/s in a copy, in the same rounds."
    )


SECTION = Section(
    "speed", "Training speed against the plain loop", Place.APPENDIX, tables=(speed_table,), charts=("speed.chart",)
)
