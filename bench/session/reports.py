"""Writes the reports that recorded rows support."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.plan.catalogue import catalogue
from bench.plan.cells import recorded_cell

if TYPE_CHECKING:
    import pandas as pd

    from bench.record.store import Store
    from bench.report.evidence import Evidence

# In percentage points.
DEFAULT_MARGIN = 0.05


def write_reports(
    stores: Mapping[str, "Store"],
    reports: Path,
    margin: float = DEFAULT_MARGIN / 100,
    where: Mapping[str, str] | None = None,
    options: str = "",
    png: bool = False,
) -> list[Path]:
    """Writes a report a data set, on the rows of its store, and says where its page is. `margin` is a fraction;
    `options` are the command's. With `png` charts are written as PNG too. Returns the pages."""
    from bench.record.several import Several
    from bench.report.pool import render_pool

    pages = []
    for dataset, store in stores.items():
        evidence = todays_evidence(store, dataset, where)
        if isinstance(store, Several):
            print(render_pool(store, evidence))
        pages.append(write_report_on(evidence, reports, margin, options, png))
    return pages


def write_report_on(
    evidence: "Evidence", reports: Path, margin: float = DEFAULT_MARGIN / 100, options: str = "", png: bool = False
) -> Path:
    """Writes the report on the evidence, as `write_reports` does of each, and returns its page."""
    from bench.report.report import Report
    from bench.report.show.write import write_report
    from bench.run.networks import layers_today

    command = f"{catalogue().command('report', '--dataset', evidence.dataset)} {options}".rstrip()
    folder = reports / evidence.dataset
    write_report(Report(evidence, margin, layers_today), folder, command, png)
    page = folder / "index.html"
    print(f"Report: {page}")
    return page


def todays_evidence(
    store: "Store", dataset: str, where: Mapping[str, str] | None = None, prefer: Collection[str] = ()
) -> "Evidence":
    """The evidence in a store, as `gather` says, of today's networks; their sizes in the rows are what they have today.
    Raises BenchError."""
    from bench.report.evidence import gather
    from bench.run.networks import network_today

    evidence = gather(store, dataset, where, network_today, prefer)
    # The trials are among those at every rate.
    for rows in (evidence.unfinished, evidence.other_precisions, evidence.rates, *evidence.swept.values()):
        _require_sizes(store, rows)
    return evidence


def chosen_margin(points: float) -> float:
    """The margin as a fraction. Raises UsageError."""
    if not 0 <= points <= 100:
        raise UsageError(f"--margin is 0 or more points, and no more than accuracies can differ, 100, not {points:g}")
    return points / 100


def margin_option(margin: float) -> str:
    """What a command says of a margin, a fraction, that isn't the default."""
    return "" if margin == DEFAULT_MARGIN / 100 else f"--margin {margin * 100:g}"


def _require_sizes(store: "Store", rows: "pd.DataFrame") -> None:
    """Raises StoreError for a row whose parameters or MACs are not those of its network. Of rows that say the same of
    the same network one is looked at."""
    from bench.record.reading import StoreError
    from bench.run.networks import sizes_today

    told = ["network", "input", "classes", "parameters", "macs"]
    one_each = rows.drop_duplicates(told)
    cells = map(recorded_cell, one_each[["architecture", *catalogue().columns]].itertuples(index=False, name=None))
    facts = one_each[["trial", *told[1:]]].itertuples(index=False, name=None)
    for cell, (trial, shape, classes, *recorded) in zip(cells, facts, strict=True):
        sizes = cell and sizes_today(cell, shape, classes)
        if sizes and list(sizes) != recorded:
            raise StoreError(
                f"{store.trials_path}: trial {trial} has {recorded[0]:,} parameters and {recorded[1]:,} macs, its "
                f"network {sizes[0]:,} and {sizes[1]:,}: correct or delete the line"
            )
