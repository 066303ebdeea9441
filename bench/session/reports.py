"""Writes the reports that recorded rows support."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.plan.catalogue import catalogue

if TYPE_CHECKING:
    from bench.record.store import Store

# In percentage points.
DEFAULT_MARGIN = 0.05


def write_reports(
    stores: Mapping[str, "Store"],
    reports: Path,
    margin: float = DEFAULT_MARGIN / 100,
    where: Mapping[str, str] | None = None,
    options: str = "",
    prefer: Collection[str] = (),
    png: bool = False,
) -> list[Path]:
    """Writes a report a data set, on the rows of its store, and says where its page is. `margin` is a fraction;
    `options` are the command's; where there are trials to `prefer`, the report is on their protocol. With `png` charts
    are written as PNG too. Returns the pages."""
    from bench.report.analysis import analyse
    from bench.report.evidence import gather
    from bench.report.write import write_report
    from bench.run.networks import layers_today, network_today

    pages = []
    for dataset, store in stores.items():
        evidence = gather(store, dataset, where, network_today, prefer)
        analysis = analyse(evidence, margin, layers_today)
        command = f"{catalogue().command('report', '--dataset', dataset)} {options}".rstrip()
        write_report(analysis, reports / dataset, command, png)
        pages.append(reports / dataset / "index.html")
        print(f"Report: {pages[-1]}")
    return pages


def chosen_margin(points: float) -> float:
    """The margin as a fraction. Raises UsageError."""
    if not 0 <= points <= 100:
        raise UsageError(f"--margin is 0 or more points, and no more than accuracies can differ, 100, not {points:g}")
    return points / 100
