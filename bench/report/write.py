"""A report's files: the page, a Markdown page, the charts, the tables. The same rows give the same bytes."""

from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.report.analysis import Analysis
from bench.report.caveats import caveats
from bench.report.charts import Chart, draw_charts, save
from bench.report.findings import combination_sentences, findings, preset_sentences
from bench.report.machines import machine_facts
from bench.report.page import protocol_facts, render_page, timed_on
from bench.report.tables import Table, make_tables
from bench.report.words import markdown_text

# A table with more rows is linked from the Markdown page, not shown.
_LONG = 60


class ReportError(BenchError):
    """A report can't be written."""


def write_report(analysis: Analysis, folder: Path, command: str) -> None:
    """Writes the report into `folder` in place of an older one. `command` is what makes it. Raises ReportError."""
    tables = list(make_tables(analysis))
    charts = list(draw_charts(analysis))
    try:
        _clear(folder / "tables", (".md", ".csv", ".tex"))
        _clear(folder / "charts", (".svg", ".png"))
        for table in tables:
            for suffix, text in (("md", table.markdown()), ("csv", table.csv()), ("tex", table.latex())):
                _write(folder / "tables" / f"{table.name}.{suffix}", text)
        for chart in charts:
            save(chart, folder / "charts")
        _write(folder / "index.html", render_page(analysis, tables, charts, folder / "charts", command))
        _write(folder / "README.md", _markdown_page(analysis, tables, charts, command))
    except OSError as error:
        raise ReportError(f"{error.filename or folder} can't be written: {error.strerror or error}") from error


def _markdown_page(analysis: Analysis, tables: Sequence[Table], charts: Sequence[Chart], command: str) -> str:
    evidence = analysis.evidence
    parts = [
        f"# Which technique helps on {evidence.dataset}?",
        f"Made by `{command}`; `index.html` beside this file is the same as a web page.",
        "\n".join(f"> - {caveat}" for caveat in caveats(analysis)),
        "\n".join(f"- {text}" for _, text in findings(analysis)),
        "\n".join(f"- {text}" for text in (*preset_sentences(analysis), *combination_sentences(analysis))),
    ]
    for table in tables:
        long = f"{len(table.rows):,} rows: [tables/{table.name}.csv](tables/{table.name}.csv)"
        words = markdown_text(f"{table.caption} {table.note}")
        parts += [f"## {table.title}", words, table.markdown() if len(table.rows) <= _LONG else long]
    for chart in charts:
        parts += [f"## {chart.title}", f"![{chart.alt}](charts/{chart.name}.svg)", markdown_text(chart.caption)]
    parts += [
        "## How it was measured",
        "\n".join(f"- {name}: {markdown_text(fact)}" for name, fact in protocol_facts(analysis)),
        "\n".join(
            f"- {verb} on: {markdown_text(facts)}"
            for verb, used in (("Trained", evidence.trials["machine"]), ("Timed", timed_on(analysis)))
            for facts in machine_facts(used, evidence.machines)
        ),
    ]
    return "\n\n".join(filter(None, parts))


def _clear(folder: Path, suffixes: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.suffix in suffixes:
            path.unlink()


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")
