"""`bench readme`: rewrites the README's tables and charts from rows, or checks that they hold."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.report import Reports
from bench.plan.catalogue import catalogue


def readme(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a block or a report's file has drifted.")
    ] = False,
    file: Annotated[Path, typer.Option("--file", help="The Markdown file.")] = Path("README.md"),
    results: opt.Results = Path("results"),
    reports: Reports = Path("reports"),
) -> int:
    """Rewrite what stands between `<!-- bench: DATASET TABLE -->` and `<!-- bench: end -->` from the recorded rows."""
    from bench.record.store import Store
    from bench.report.report import Report
    from bench.report.show.readme import ReadmeError, drifted, read, rewrite, write
    from bench.report.show.words import few
    from bench.report.show.write import altered
    from bench.run.networks import layers_today
    from bench.session.reports import DEFAULT_MARGIN, todays_evidence

    asked: dict[str, Report] = {}

    def analysis_of(dataset: str) -> Report:
        evidence = todays_evidence(Store(results / opt.plain_name(dataset)), dataset)
        asked[dataset] = Report(evidence, DEFAULT_MARGIN / 100, layers_today)
        return asked[dataset]

    old = read(file)
    new = rewrite(old, analysis_of, reports.as_posix())
    changed = drifted(old, new)
    if check and changed:
        raise ReadmeError(
            f"{file} has drifted from the rows ({', '.join(changed)}): `python -m bench readme` rewrites it"
        )
    for dataset, about in asked.items() if check else ():
        command = catalogue().command("report", "--dataset", dataset)
        if (reports / dataset).exists() and (files := altered(about, reports / dataset, command)):
            raise ReadmeError(
                f"{reports / dataset} has drifted from the rows ({few(files)}): `{command}` writes it anew; a chart "
                "alone may also be another matplotlib's"
            )
    if changed:
        write(file, new)
    print(f"{file}: {'rewrote ' + ', '.join(changed) if changed else 'nothing to change'}")
    return 0
