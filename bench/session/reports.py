"""Writes the reports that recorded rows support."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.plan.catalogue import catalogue

# In percentage points.
DEFAULT_MARGIN = 0.05


def write_reports(
    datasets: Sequence[str],
    results: Path,
    reports: Path,
    margin: float = DEFAULT_MARGIN / 100,
    where: Mapping[str, str] | None = None,
    options: str = "",
    prefer: Collection[str] = (),
    png: bool = False,
) -> list[Path]:
    """Writes a report a data set and says where its page is. `margin` is a fraction; `options` are the command's; where
    there are trials to `prefer`, the report is on their protocol. With `png` charts are written as PNG too. Returns
    the pages."""
    from bench.record.store import Store
    from bench.report.analysis import analyse
    from bench.report.evidence import gather
    from bench.report.write import write_report
    from bench.run.networks import layers_today, network_today

    pages = []
    for dataset in datasets:
        evidence = gather(Store(results / dataset), dataset, where, network_today, prefer)
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
