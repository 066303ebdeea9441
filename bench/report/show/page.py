"""The report as one web page: no request leaves it, every value from a row is escaped."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.plan.catalogue import catalogue
from bench.report.report import Report
from bench.report.sections import SECTIONS, caveats
from bench.report.sections.effects.sentences import HEADLINES, findings, headlines
from bench.report.sections.measured import opening, protocol_facts, report_title, timed_on
from bench.report.sections.section import Weight
from bench.report.show.chart import Chart
from bench.report.show.machines import machine_facts
from bench.report.show.table import Table
from bench.report.show.words import shortened

# Beyond so many rows the page has only the most telling, beyond so many a table is folded where it isn't already.
_MOST_ROWS, _UNFOLDED_ROWS = 300, 60

# A table of so many rows can be filtered.
_FILTERED = 8

# So many sentences of a section are seen at once; the page has so many of each in all.
_SEEN, _MOST_SENTENCES = 12, 300


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
    found, said = list(findings(report)), list(headlines(report))
    text = environment.get_template("page.html.jinja").render(
        title=report_title(report),
        dataset=evidence.dataset,
        run=catalogue().run_command,
        opening=opening(report),
        headlines=said[:HEADLINES],
        more_headlines=said[HEADLINES:_MOST_SENTENCES],
        findings=found[:_MOST_SENTENCES],
        more_findings=len(found[_MOST_SENTENCES:]),
        meaning=caveats(report, Weight.MEANING),
        caveats=caveats(report, Weight.LIMIT, Weight.HOUSEKEEPING),
        seen=_SEEN,
        sections=list(_sections(report, tables, charts, chart_folder)),
        protocol=protocol_facts(report),
        machines=machine_facts(evidence.trials["machine"], evidence.machines),
        timed_on=machine_facts(timed_on(report), evidence.machines),
        command=command,
    )
    return text.rstrip() + "\n"


def _sections(
    report: Report, tables: Sequence[Table], charts: Sequence[Chart], folder: Path
) -> Iterator[dict[str, object]]:
    """The sections that have something to show or to say, with what each has."""
    for section in SECTIONS:
        own = [_table(table.shortened(_MOST_ROWS)) for table in tables if table.topic == section.name]
        drawn = [_chart(chart, folder) for chart in charts if chart.topic == section.name]
        said = shortened(section.sentences(report), _MOST_SENTENCES, table=str(own[0]["name"]) if own else "")
        if own or drawn or said:
            yield {
                "name": section.name,
                "title": section.title,
                "place": str(section.place),
                "sentences": said,
                "tables": own,
                "charts": drawn,
            }


def _chart(chart: Chart, folder: Path) -> dict[str, object]:
    svg = (folder / f"{chart.name}.svg").read_text(encoding="utf-8")
    return {
        "name": chart.name,
        "title": chart.title,
        "caption": chart.caption,
        "alt": chart.alt,
        "drawing": Markup(_inside(svg)),  # noqa: S704 (matplotlib wrote it, and escapes every text)
    }


def _inside(svg: str) -> str:
    """What is drawn, as a part of a page: without the file's head, its size and its own name."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'^<svg([^>]*?) width="[^"]*" height="[^"]*"', r"<svg\1", body)
    return " ".join(body.split())


def _table(table: Table) -> dict[str, object]:
    return {
        "name": table.name,
        "title": table.title,
        "caption": table.caption,
        "note": table.note,
        "long": len(table.rows) > _UNFOLDED_ROWS,
        "filtered": len(table.rows) >= _FILTERED,
        "columns": table.columns,
        "rows": [
            [_Cell(text, key) for text, key in zip(texts, keys, strict=True)]
            for texts, keys in zip(table.texts, table.sort_keys(), strict=True)
        ],
    }
