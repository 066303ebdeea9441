"""The report as one web page: no request leaves it, every value from a row is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.plan.catalogue import catalogue
from bench.report.analysis import Analysis
from bench.report.caveats import caveats
from bench.report.charts import Chart
from bench.report.choosing import SELECTED
from bench.report.findings import combination_sentences, findings, opening, preset_sentences, shortened
from bench.report.looks import looks_facts
from bench.report.machines import machine_facts
from bench.report.tables import Table
from bench.report.words import listed

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
    analysis: Analysis, tables: Sequence[Table], charts: Sequence[Chart], chart_folder: Path, command: str
) -> str:
    """The page as HTML. The charts' SVG files must lie in `chart_folder`; `command` is what made the report."""
    environment = Environment(
        loader=PackageLoader("bench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evidence = analysis.evidence
    found = list(findings(analysis))
    text = environment.get_template("page.html.jinja").render(
        title=report_title(analysis),
        dataset=evidence.dataset,
        run=catalogue().run_command,
        opening=opening(analysis),
        findings=found[:_MOST_SENTENCES],
        more_findings=len(found[_MOST_SENTENCES:]),
        further=shortened(
            [*preset_sentences(analysis), *combination_sentences(analysis)], _MOST_SENTENCES, table="factorial"
        ),
        seen=_SEEN,
        caveats=list(caveats(analysis)),
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
        cells=len(analysis.cells),
        protocol=protocol_facts(analysis),
        machines=machine_facts(evidence.trials["machine"], evidence.machines),
        timed_on=machine_facts(timed_on(analysis), evidence.machines),
        command=command,
    )
    return text.rstrip() + "\n"


def report_title(analysis: Analysis) -> str:
    """What the report is about: what the user's study says of itself, or the question."""
    known = catalogue()
    return known.title if known.name and known.title else f"Which technique helps on {analysis.evidence.dataset}?"


def rates_in_words() -> str:
    """`one for each scheduler and batch norm, selected on held-out training images`."""
    rates = catalogue().rates
    each = f"one for each {listed([name.replace('_', ' ') for name in rates.by])}" if rates.by else "one for all cells"
    return f"{each}, {rates.source or ('as the study says' if rates.selected else 'the default')}"


def protocol_facts(analysis: Analysis) -> list[tuple[str, str]]:
    """What all trials of the report share, name by name."""
    protocol, trials = analysis.evidence.protocol, analysis.evidence.trials
    rate = protocol["rate"]
    return [
        ("Data set", analysis.evidence.dataset),
        ("Epochs", str(protocol["epochs"])),
        ("Batch size", str(protocol["batch_size"])),
        ("Optimiser", {"sgd": "SGD, momentum 0.9"}.get(str(protocol["optimizer"]), str(protocol["optimizer"]))),
        (
            "Learning rate",
            rates_in_words() if rate == SELECTED else f"{rate} for every cell",
        ),
        *looks_facts(analysis.evidence),
        ("Precision", str(protocol["precision"])),
        ("Device", str(protocol["device"])),
        ("Trained", f"{trials['started_at'].min()} to {trials['started_at'].max()}"),
        ("Digest of the data", str(protocol["data"])),
        ("Digest of the training code", str(protocol["code"])),
    ]


def timed_on(analysis: Analysis) -> list[str]:
    """The machine that speeds are of, if there are any."""
    return [] if analysis.costs.machine is None else [analysis.costs.machine]


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
