"""A report's files: the page, a Markdown page, the charts, the tables. The same rows give the same bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import time

from bench.errors import BenchError
from bench.record.replacing import sync
from bench.report.report import Report
from bench.report.sections import caveats, draw_charts, make_tables, sentences
from bench.report.sections.effects.sentences import findings
from bench.report.sections.measured import opening, protocol_facts, report_title, timed_on
from bench.report.show.chart import Chart, save
from bench.report.show.machines import machine_facts
from bench.report.show.page import render_page
from bench.report.show.table import Table
from bench.report.show.words import markdown_text, plural, shortened

# A table with more rows is linked from the Markdown page, not shown; of more sentences than that some are.
_LONG = 60

# A table with more rows is whole as CSV only.
_READABLE = 1_000

# Folders of a report, and the files in them that are a report's.
_FOLDERS = {"tables": (".md", ".csv", ".tex"), "charts": (".svg", ".png")}

# Where a report is written before it takes the older one's place. A kill leaves it there; after so many seconds nobody
# is still writing it.
_ASIDE = ".unfinished-"
_ABANDONED = 3600


class ReportError(BenchError):
    """A report can't be written."""


def write_report(report: Report, folder: Path, command: str, png: bool = False) -> None:
    """Writes the report into `folder` in place of an older one. `command` is what makes it; with `png` there is a PNG
    of each chart beside its SVG. Raises ReportError.

    Everything is written aside first and then renamed into place, file by file: whatever goes wrong before, an older
    report stays as it was, and no file is ever half written. What is not a report's stays too.
    """
    try:
        with _aside(folder) as unfinished:
            _write_files(report, unfinished, command, png)
            _move_into_place(unfinished, folder)
    except OSError as error:
        raise ReportError(f"{folder} can't be written: {error.strerror or error}") from error


def _write_files(report: Report, folder: Path, command: str, png: bool) -> None:
    tables, charts = list(make_tables(report)), []
    (folder / "tables").mkdir()
    (folder / "charts").mkdir()
    for table in tables:
        readable = table.shortened(_READABLE)
        for suffix, text in (("md", readable.markdown()), ("csv", table.csv()), ("tex", readable.latex())):
            _write(folder / "tables" / f"{table.name}.{suffix}", text)
    for chart in draw_charts(report):
        save(chart, folder / "charts", png)
        chart.figure.clear()  # its words are still needed, but all figures at once would fill the memory
        charts.append(chart)
    _write(folder / "index.html", render_page(report, tables, charts, folder / "charts", command))
    _write(folder / "README.md", _markdown_page(report, tables, charts, command))


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """An empty folder in `folder`, and so on its file system, that is gone in the end, as is what a kill has left."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_ASIDE}*"):
        if left.stat().st_mtime < time() - _ABANDONED:
            rmtree(left, ignore_errors=True)
    unfinished = Path(mkdtemp(prefix=_ASIDE, dir=folder))
    try:
        yield unfinished
    finally:
        rmtree(unfinished, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _move_into_place(unfinished: Path, folder: Path) -> None:
    """Renames every file into the report, the page last, and removes what an older report had and this one hasn't."""
    for path in unfinished.rglob("*"):
        if path.is_file():
            sync(path)
    for name, suffixes in _FOLDERS.items():
        (folder / name).mkdir(exist_ok=True)
        files = {path.name: path for path in (unfinished / name).iterdir()}
        for path in files.values():
            path.replace(folder / name / path.name)
        for path in list((folder / name).iterdir()):
            if path.suffix in suffixes and path.name not in files:
                path.unlink()
    for name in ("README.md", "index.html"):
        (unfinished / name).replace(folder / name)


def _markdown_page(report: Report, tables: Sequence[Table], charts: Sequence[Chart], command: str) -> str:
    evidence = report.evidence
    parts = [
        f"# {markdown_text(report_title(report))}",
        f"{plural(len(evidence.trials), 'trial')} of {plural(len(evidence.cells), 'cell')} on {evidence.dataset}. "
        f"Made by `{command}`; `index.html` beside this file is the same as a web page.",
        opening(report),
        "\n".join(f"> - {caveat}" for caveat in caveats(report)),
        "\n".join(f"- {text}" for text in shortened((text for _, text in findings(report)), _LONG, "effects")),
        "\n".join(f"- {text}" for text in shortened(sentences(report), _LONG, "factorial")),
    ]
    for table in tables:
        long = f"{len(table.rows):,} rows: [tables/{table.name}.csv](tables/{table.name}.csv)"
        words = markdown_text(f"{table.caption} {table.note}")
        parts += [f"## {table.title}", words, table.markdown() if len(table.rows) <= _LONG else long]
    for chart in charts:
        parts += [f"## {chart.title}", f"![{chart.alt}](charts/{chart.name}.svg)", markdown_text(chart.caption)]
    parts += [
        "## How it was measured",
        "\n".join(f"- {name}: {markdown_text(fact)}" for name, fact in protocol_facts(report)),
        "\n".join(
            f"- {verb} on: {markdown_text(facts)}"
            for verb, used in (("Trained", evidence.trials["machine"]), ("Timed", timed_on(report)))
            for facts in machine_facts(used, evidence.machines)
        ),
    ]
    return "\n\n".join(filter(None, parts))


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")
