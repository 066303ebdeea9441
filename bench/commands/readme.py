"""`bench readme`: rewrites the README's tables and charts from rows, or checks that they hold."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.report import Reports


def readme(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 if a block has drifted.")] = False,
    file: Annotated[Path, typer.Option("--file", help="The Markdown file.")] = Path("README.md"),
    results: opt.Results = Path("results"),
    reports: Reports = Path("reports"),
) -> int:
    """Rewrite what stands between `<!-- bench: DATASET TABLE -->` and `<!-- bench: end -->` from the recorded rows."""
    from bench.record.store import Store
    from bench.report.report import Report
    from bench.report.show.readme import ReadmeError, drifted, read, rewrite, write
    from bench.run.networks import layers_today
    from bench.session.reports import DEFAULT_MARGIN, todays_evidence

    def analysis_of(dataset: str) -> Report:
        evidence = todays_evidence(Store(results / opt.plain_name(dataset)), dataset)
        return Report(evidence, DEFAULT_MARGIN / 100, layers_today)

    old = read(file)
    new = rewrite(old, analysis_of, reports.as_posix())
    changed = drifted(old, new)
    if check and changed:
        raise ReadmeError(
            f"{file} has drifted from the rows ({', '.join(changed)}): `python -m bench readme` rewrites it"
        )
    if changed:
        write(file, new)
    print(f"{file}: {'rewrote ' + ', '.join(changed) if changed else 'nothing to change'}")
    return 0
