"""The report as one web page: no request leaves it, every value from a row is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.plan.catalogue import catalogue
from bench.report.report import Report
from bench.report.sections import caveats, sentences
from bench.report.sections.effects.sentences import findings
from bench.report.sections.measured import opening, protocol_facts, report_title, timed_on
from bench.report.show.chart import Chart
from bench.report.show.machines import machine_facts
from bench.report.show.table import Table
from bench.report.show.words import shortened

# Long tables stay folded until they are asked for, and beyond so many rows the page has only the most telling.
_FOLDED = {"cells", "factorial", "variance", "mcnemar", "hardest", "recall"}
_UNFOLDED_ROWS, _MOST_ROWS = 60, 300

# So many findings, and sentences beyond them, are seen at once; the page has so many in all.
_SEEN, _MOST_SENTENCES = 30, 300


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    sort_key: str


def render_page(
    report: Report, tables: Sequence[Table], charts: Sequence[Chart], chart_folder: Path, command: str
) -> str:
    """The page as HTML. The charts' SVG files must lie in `chart_folder`; `command` is what made the report."""
    environment = Environment(
        loader=PackageLoader("bench.report.show", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evidence = report.evidence
    found = list(findings(report))
    text = environment.get_template("page.html.jinja").render(
        title=report_title(report),
        dataset=evidence.dataset,
        run=catalogue().run_command,
        opening=opening(report),
        findings=found[:_MOST_SENTENCES],
        more_findings=len(found[_MOST_SENTENCES:]),
        further=shortened(sentences(report), _MOST_SENTENCES, table="factorial"),
        seen=_SEEN,
        caveats=list(caveats(report)),
        tables=[_table(table.shortened(_MOST_ROWS)) for table in tables],
        charts=[
            {
                "name": chart.name,
                "title": chart.title,
                "caption": chart.caption,
                "alt": chart.alt,
                "source": _data_uri(chart_folder / f"{chart.name}.svg"),
            }
            for chart in charts
        ],
        trials=len(evidence.trials),
        cells=len(evidence.cells),
        protocol=protocol_facts(report),
        machines=machine_facts(evidence.trials["machine"], evidence.machines),
        timed_on=machine_facts(timed_on(report), evidence.machines),
        command=command,
    )
    return text.rstrip() + "\n"


def _table(table: Table) -> dict[str, object]:
    return {
        "name": table.name,
        "title": table.title,
        "caption": f"{table.caption} {table.note}".rstrip(),
        "folded": table.name in _FOLDED or len(table.rows) > _UNFOLDED_ROWS,
        "columns": table.columns,
        "rows": [
            [_Cell(text, key) for text, key in zip(texts, keys, strict=True)]
            for texts, keys in zip(table.texts(), table.sort_keys(), strict=True)
        ],
    }


def _data_uri(path: Path) -> str:
    """The picture in one line of text, which takes a fifth less than base64."""
    return f"data:image/svg+xml,{quote(' '.join(path.read_text(encoding='utf-8').split()), safe=' /:;=,()')}"
