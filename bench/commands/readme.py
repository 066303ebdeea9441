"""`bench readme`: rewrites the README's tables and charts from rows, or checks that they hold."""

from collections.abc import Mapping
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
    file: Annotated[
        list[Path] | None, typer.Option("--file", help="A Markdown file, more than once for several.")
    ] = None,
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

    reported: dict[tuple[str, frozenset[tuple[str, str]]], Report] = {}

    def report_of(dataset: str, where: Mapping[str, str]) -> Report:
        key = dataset, frozenset(where.items())
        if key not in reported:
            evidence = todays_evidence(Store(results / opt.plain_name(dataset)), dataset, where)
            reported[key] = Report(evidence, DEFAULT_MARGIN / 100, layers_today)
        return reported[key]

    for path in file or [Path("README.md")]:
        old = read(path)
        new = rewrite(old, report_of, reports.as_posix())
        changed = drifted(old, new)
        if check and changed:
            again = f"python -m bench readme{f' --file {path}' if file else ''}"
            raise ReadmeError(f"{path} has drifted from the rows ({', '.join(changed)}): `{again}` rewrites it")
        if changed:
            write(path, new)
        print(f"{path}: {'rewrote ' + ', '.join(changed) if changed else 'nothing to change'}")
    for (dataset, where), report in reported.items() if check else ():
        command = catalogue().command("report", "--dataset", dataset)
        if not where and (reports / dataset).exists() and (files := altered(report, reports / dataset, command)):
            raise ReadmeError(
                f"{reports / dataset} has drifted from the rows ({few(files)}): `{command}` writes it anew; a chart "
                "alone may also be another matplotlib's"
            )
    return 0
