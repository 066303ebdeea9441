"""A report's files: tables in every form, the page in a browser, the README's blocks, the commands."""

import csv
import gc
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import catalogue
from bench.plan.cells import preset_cell
from bench.plan.designs import toggles
from bench.record.store import Store
from bench.report.evidence import NoRowsError, gather
from bench.report.report import Report
from bench.report.sections import SECTIONS, make_tables
from bench.report.sections.effects.measured import effects
from bench.report.show import write
from bench.report.show.chart import Chart, save
from bench.report.show.page import render_page
from bench.report.show.readme import ReadmeError, drifted, rewrite
from bench.report.show.table import Table
from bench.report.show.words import margin_points, markdown_text
from bench.run.networks import layers_today
from bench.session.reports import write_reports
from tests.synthetic import write_rows

# One process writes the report that most of these look at.
pytestmark = pytest.mark.xdist_group("write")

FACTORS = catalogue().factors

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with everything in it."""
    folder = tmp_path_factory.mktemp("results")
    write_rows(folder / "mnist")
    return folder


@pytest.fixture(scope="module")
def report(rows: Path) -> Path:
    """The report's folder, made by the command."""
    reports = rows.parent / "reports"
    assert run_command_line(["report", "--results", str(rows), "--reports", str(reports)]) == 0
    return reports / "mnist"


@pytest.fixture(scope="module")
def analysis(rows: Path) -> Report:
    return Report(gather(write_rows(rows.parent / "again" / "mnist"), "mnist"), 0.0005, layers_today)


@pytest.fixture(scope="module")
def tables(analysis: Report) -> dict[str, Table]:
    return {table.name: table for table in make_tables(analysis)}


def test_every_table_has_rows_and_no_empty_column(tables: dict[str, Table]) -> None:
    assert set(tables) == {
        "effects", "pooled", "cells", "architectures", "targets", "progress", "claims", "steps", "factorial",
        "attribution", "variance", "mcnemar", "hardest", "recall", "speed", "overhead",
    }  # fmt: skip
    for table in tables.values():
        for column, texts in zip(table.columns, zip(*table.texts, strict=True), strict=True):
            assert any(texts), f"{table.name}: {column.title}"


def test_markdown_csv_and_latex_hold_the_same_rows(tables: dict[str, Table]) -> None:
    for table in tables.values():
        lines = table.markdown().splitlines()
        assert len(lines) == len(table.rows) + 2
        assert all(len(re.findall(r"(?<!\\)\|", line)) == len(table.columns) + 1 for line in lines)
        records = list(csv.DictReader(io.StringIO(table.csv())))
        assert len(records) == len(table.rows)
        assert table.latex().count(r"\\") == len(table.rows) + 1


def test_the_csv_keeps_full_precision(tables: dict[str, Table], analysis: Report) -> None:
    first = next(csv.DictReader(io.StringIO(tables["effects"].csv())))
    difference = effects(analysis)[0].comparison.difference
    assert (float(first["difference"]), float(first["difference_low"])) == (difference.mean, difference.low)


def test_latex_escapes_what_it_must(tables: dict[str, Table]) -> None:
    text = tables["cells"].latex()
    assert r"batch\_norm" in text
    assert r"98." in text
    assert not re.search(r"(?<!\\)[%_]", text)


def test_the_same_rows_give_the_same_bytes(rows: Path, report: Path, tmp_path: Path) -> None:
    again = tmp_path / "reports"
    (again / "mnist" / "charts").mkdir(parents=True)
    (again / "mnist" / "charts" / "gone.svg").write_text("of an older report")
    assert run_command_line(["report", "--results", str(rows), "--reports", str(again)]) == 0
    files = {path.relative_to(report): path.read_bytes() for path in report.rglob("*") if path.is_file()}
    others = {p.relative_to(again / "mnist"): p.read_bytes() for p in (again / "mnist").rglob("*") if p.is_file()}
    assert files == others
    assert len(files) == 2 + 3 * 16 + 12


def files_of(folder: Path) -> dict[Path, bytes]:
    """A report's files, without what a kill left aside."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {path: (folder / path).read_bytes() for path in paths if not str(path).startswith(".")}


@pytest.fixture
def older(report: Path, tmp_path: Path) -> Path:
    """The report with a chart and a table that a new one hasn't, and a file of somebody's own."""
    folder = tmp_path / "reports" / "mnist"
    shutil.copytree(report, folder)
    (folder / "index.html").write_text("of an older report")
    for name in ("charts/gone.svg", "tables/gone.csv", "charts/effects.png", "notes.txt"):
        (folder / name).write_text("older")
    return folder


def test_a_chart_that_fails_leaves_the_older_report(
    analysis: Report, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(older)

    def fails(chart: Chart, folder: Path, png: bool) -> None:
        if chart.name == "pareto":
            raise RuntimeError("no such colour")
        save(chart, folder, png)

    monkeypatch.setattr(write, "save", fails)
    with pytest.raises(RuntimeError, match="no such colour"):
        write.write_report(analysis, older, "command")
    assert files_of(older) == before
    assert not list(older.glob(".*"))
    with pytest.raises(RuntimeError, match="no such colour"):
        write.write_report(analysis, older.parent / "first", "command")
    assert not (older.parent / "first").exists()


def in_a_process(rows: Path, reports: Path, before: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own that first runs `before`."""
    code = (
        f"{before}\nimport sys; from bench.cli import run_command_line\n"
        f"sys.exit(run_command_line(['report', '--results', {str(rows)!r}, '--reports', {str(reports)!r}]))"
    )
    root = Path(__file__).parent.parent
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_report(rows: Path, older: Path) -> None:
    """A real limit on the size of files, which a chart reaches after some of the report has been written."""
    before = files_of(older)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))"
    done = in_a_process(rows, older.parent, limit)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"bench: {older} can't be written: File too large"
    assert files_of(older) == before
    assert not list(older.glob(".*"))


@pytest.mark.slow
def test_a_kill_leaves_the_older_report_and_the_next_one_tidies_up(rows: Path, report: Path, older: Path) -> None:
    before = files_of(older)
    killed = (
        "import os, signal; import bench.report.show.write as write; first = write._markdown_page\n"
        "write._markdown_page = lambda *parts: os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert in_a_process(rows, older.parent, killed).returncode == -signal.SIGKILL
    assert files_of(older) == before
    [left] = older.glob(".unfinished-*")
    assert (left / "charts" / "effects.svg").exists()
    os.utime(left, (0, 0))  # long ago: nobody is still writing it
    assert run_command_line(["report", "--results", str(rows), "--reports", str(older.parent)]) == 0
    assert files_of(older) == files_of(report) | {Path("notes.txt"): b"older"}
    assert not list(older.glob(".*"))


def test_somebody_elses_unfinished_report_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "mnist" / ".unfinished-other"
    other.mkdir(parents=True)
    with write._aside(tmp_path / "mnist") as own:
        assert own != other
    assert other.exists()


@pytest.mark.parametrize("margin", ["0", "5e-324", "1e-13", "1e-6", "100"])
def test_any_margin_gives_a_report(tmp_path: Path, margin: str) -> None:
    store = write_rows(tmp_path / "results" / "mnist", list(toggles(["model1"], FACTORS[:2])), seeds=3)
    for name in ("epochs", "confusion", "images", "speed", "overhead"):
        (store.folder / f"{name}.csv").unlink()
    command = ["report", "--results", str(tmp_path / "results"), "--reports", str(tmp_path), "--margin", margin]
    assert run_command_line(command) == 0
    page = (tmp_path / "mnist" / "index.html").read_text()
    assert f"up to {margin_points(float(margin) / 100)} points, are too small to matter" in page


def test_a_long_table_is_cut_in_the_page_and_whole_beside_it(tables: dict[str, Table], analysis: Report) -> None:
    cells = tables["cells"]
    best = sorted((row["accuracy"] for row in cells.rows), reverse=True)[:5]
    short = cells.shortened(5)
    assert sorted((row["accuracy"] for row in short.rows), reverse=True) == best
    assert [row["cell"] for row in cells.rows if row in short.rows] == [row["cell"] for row in short.rows]
    assert short.caption.endswith(
        f"Shown are the 5 most telling of {len(cells.rows)} rows; tables/cells.csv has them all."
    )
    assert cells.shortened(len(cells.rows)) is cells
    assert len(tables["claims"].shortened(3).rows) == 3
    many = replace(cells, rows=cells.rows * 30)
    page = render_page(analysis, [many], [], Path(), "command")
    assert page.count("<tr>") == 301
    assert f"most telling of {len(many.rows):,} rows" in page


def test_rows_of_few_seeds_can_be_left_out(tables: dict[str, Table]) -> None:
    cells = tables["cells"]
    few = replace(cells, rows=tuple({**row, "n": 4 + number % 2} for number, row in enumerate(cells.rows)))
    enough = few.with_seeds(5)
    assert enough.rows == few.rows[1::2]
    assert f"the {len(enough.rows)} of {len(few.rows)} rows that have at least 5 seeds" in enough.caption
    assert few.with_seeds(4) is few
    assert few.with_seeds(6) is few


def test_a_page_of_many_findings_folds_most_of_them(analysis: Report) -> None:
    many = analysis.supposing(effects, effects(analysis) * 25)
    own = [table for table in make_tables(many) if table.name == "effects"]
    page = render_page(many, own, [], Path(), "command")
    assert page.count('<li><span class="verdict') == 300
    assert "a model each (300)" in page
    assert f"And {len(effects(many)) - 300:,} more: tables/effects.csv has them all." in page


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing(rows: Path, report: Path, tmp_path: Path) -> None:
    for path in (rows / "mnist").iterdir():
        header, *lines = path.read_text().splitlines()
        (tmp_path / "results" / "mnist").mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / "mnist" / path.name).write_text("\n".join([header, *lines[::-1]]) + "\n")
    command = ["report", "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert run_command_line(command) == 0
    name = Path("tables") / "effects.csv"
    assert (tmp_path / "reports" / "mnist" / name).read_bytes() == (report / name).read_bytes()


def test_values_from_rows_are_escaped(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert "A &lt;made-up&gt; CPU" in page
    assert "<made-up>" not in page
    text = (report / "README.md").read_text()
    assert "A &lt;made-up&gt; CPU" in text
    assert "<made-up>" not in text


def test_markdown_shows_words_as_they_are() -> None:
    hostile = "<img src=x> | `a` *b* [c](d)\n# e \\"
    assert markdown_text(hostile) == r"&lt;img src=x&gt; \| \`a\` \*b\* \[c\](d) # e \\"


def test_the_page_starts_with_findings_and_names_its_command(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert page.index("Batch norm at its own rate ") < page.index("<figure") < page.index("<table")
    assert "python -m bench report --dataset mnist</code>" in page
    assert not re.search(r'(src|href)="(?!data:|#|tables/|charts/)', page)


def test_a_sparse_store_is_reported_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write_rows(tmp_path / "results" / "digits", [preset_cell("model1")], seeds=1, dataset="digits")
    for name in ("timings", "confusion", "correct", "images", "epochs"):
        (store.folder / f"{name}.csv").unlink()
    command = ["report", "--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert run_command_line(command) == 0
    assert "index.html" in capsys.readouterr().out
    page = (tmp_path / "reports" / "digits" / "index.html").read_text()
    assert "Not tried on model1" in page
    assert "nan" not in page.replace("financial", "")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--margin", "-1"], 2, "--margin is 0 or more points"),
        (["--margin", "nan"], 2, "--margin is 0 or more points"),
        (["--margin", "1e300"], 2, "no more than accuracies can differ, 100"),
        (["--where", "precision"], 2, "--where takes a column and its value"),
        (["--where", "precison=bf16"], 2, "did you mean precision"),
        (["--where", "precision=bf16"], 1, "no such rows"),
        (["--dataset", "mnits"], 1, "has no rows"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str
) -> None:
    command = ["report", "--results", str(rows), "--reports", str(tmp_path)]
    assert run_command_line([*command, *options]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_no_rows_and_no_place_are_answered_in_one_line(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["report", "--results", str(tmp_path)]) == 1
    assert "has no rows: make some with" in capsys.readouterr().err
    (tmp_path / "file").write_text("not a folder")
    assert run_command_line(["report", "--results", str(rows), "--reports", str(tmp_path / "file")]) == 1
    assert "can't be written" in capsys.readouterr().err


README = """# Title
<!-- bench: mnist targets -->
old
<!-- bench: end -->
between
<!-- bench: mnist chart:curves -->
<!-- bench: end -->
<!-- bench: mnist findings -->
<!-- bench: end -->
"""


def test_blocks_are_rewritten_and_the_rest_is_left(analysis: Report) -> None:
    text = rewrite(README, lambda *_: analysis, "reports")
    assert "old" not in text
    assert text.startswith("# Title\n<!-- bench: mnist targets -->\n| model")
    assert "\nbetween\n" in text
    assert "](reports/mnist/charts/curves.svg)" in text
    assert "Batch norm (at its rate 0.03, against 0.01) " in text
    assert rewrite(text, lambda *_: analysis, "reports") == text
    assert drifted(README, text) == ["mnist targets", "mnist chart:curves", "mnist findings"]


def test_no_table_is_hidden_behind_sentences_of_its_name(tables: dict[str, Table], analysis: Report) -> None:
    said = {section.name for section in SECTIONS if list(section.sentences(analysis))}
    assert said
    assert not said & set(tables)


def test_a_block_may_be_of_some_rows_alone(analysis: Report) -> None:
    asked: list[tuple[str, Mapping[str, str]]] = []

    def analysis_of(dataset: str, where: Mapping[str, str]) -> Report:
        asked.append((dataset, where))
        return analysis

    text = "<!-- bench: mnist precision=bf16 seed=1 targets -->\n<!-- bench: end -->\n"
    new = rewrite(text, analysis_of, "reports")
    assert asked == [("mnist", {"precision": "bf16", "seed": "1"})]
    assert "\n| model" in new
    assert drifted(text, new) == ["mnist precision=bf16 seed=1 targets"]
    with pytest.raises(ReadmeError, match="chart:curves comes from a report on all rows: leave out the conditions"):
        rewrite(text.replace("targets", "chart:curves"), analysis_of, "reports")


@pytest.mark.slow
def test_line_ends_stay_as_they_are(rows: Path, tmp_path: Path, analysis: Report) -> None:
    expected = rewrite(README, lambda *_: analysis, "reports").replace("\n", "\r\n")
    assert rewrite(README.replace("\n", "\r\n"), lambda *_: analysis, "reports") == expected
    file = tmp_path / "README.md"
    file.write_bytes(b"unix\n" + README.replace("\n", "\r\n").encode())
    command = ["readme", "--file", str(file), "--results", str(rows), "--reports", str(tmp_path / "reports")]
    assert run_command_line(command) == 0
    assert file.read_bytes().startswith(b"unix\n# Title\r\n<!-- bench: mnist targets -->\r\n| model")
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n") + 1
    assert run_command_line([*command, "--check"]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- bench: mnist targest -->\n<!-- bench: end -->\n", "did you mean targets"),
        ("<!-- bench: mnist chart:curvs -->\n<!-- bench: end -->\n", "did you mean chart:curves"),
        ("<!-- bench: mnist targets -->\n", "lacks its first or last line"),
        ("<!-- bench: end -->\n", "lacks its first or last line"),
    ],
)
def test_a_wrong_block_is_named(analysis: Report, text: str, message: str) -> None:
    with pytest.raises(ReadmeError, match=message):
        rewrite(text, lambda *_: analysis, "reports")


def test_the_check_fails_on_drift_and_changes_nothing(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "README.md"
    file.write_text(README)
    command = ["readme", "--file", str(file), "--results", str(rows), "--reports", str(tmp_path / "reports")]
    assert run_command_line([*command, "--check"]) == 1
    assert "has drifted from the rows (mnist targets, mnist chart:curves, mnist findings)" in capsys.readouterr().err
    assert file.read_text() == README
    assert run_command_line(command) == 0
    assert run_command_line([*command, "--check"]) == 0
    assert run_command_line(["readme", "--file", str(tmp_path / "none.md"), "--results", str(rows)]) == 1


def test_the_check_fails_where_a_chart_was_altered(
    rows: Path, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "README.md", tmp_path / "reports" / "mnist"
    shutil.copytree(report, folder)
    file.write_text("<!-- bench: mnist targets -->\n<!-- bench: end -->\n")
    command = ["readme", "--file", str(file), "--results", str(rows), "--reports", str(folder.parent)]
    assert run_command_line(command) == 0
    chart = folder / "charts" / "effects.svg"
    chart.write_text(chart.read_text().replace("helps", "hurts"))
    (folder / "tables" / "pooled.csv").unlink()
    assert run_command_line([*command, "--check"]) == 1
    assert "mnist has drifted from the rows (charts/effects.svg and tables/pooled.csv)" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser() -> Iterator["Chrome"]:
    """Headless Chromium; without it and its driver these tests are skipped."""
    binary = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with chromedriver on this machine")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=ChromeService(driver)) as chrome:
        yield chrome


def open_page(browser: "Chrome", report: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get((report / "index.html").as_uri())


def test_the_page_loads_by_itself(browser: "Chrome", report: Path) -> None:
    open_page(browser, report, 1200)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert any(url.endswith("index.html") for url in urls)
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in urls) == 1
    drawn = "return [...document.querySelectorAll('figure svg')].map(svg => svg.querySelectorAll('text').length)"
    texts = browser.execute_script(drawn)
    assert len(texts) == 12
    assert min(texts) > 5


def test_a_column_sorts_on_a_click_and_from_the_keyboard(browser: "Chrome", report: Path) -> None:
    from selenium.webdriver import Keys

    open_page(browser, report, 1200)
    button = browser.find_element("xpath", "//th[button='effect']/button")
    column = "return [...document.querySelector('table').tBodies[0].rows].map(row => Number(row.cells[2].dataset.key))"
    before = browser.execute_script(column)
    button.click()
    assert browser.execute_script(column) == sorted(before, reverse=True) != before
    button.send_keys(Keys.ENTER)
    assert browser.execute_script(column) == sorted(before)
    head = browser.find_element("xpath", "//th[button='effect']")
    assert head.get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize("width", [390, 768, 1200])
def test_nothing_reaches_over_the_screens_edge(browser: "Chrome", report: Path, width: int) -> None:
    open_page(browser, report, width)
    for details in browser.find_elements("tag name", "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_text_is_easy_to_read(browser: "Chrome", report: Path) -> None:
    """WCAG 2.1's contrast of 4.5 to 1 for every text against the nearest background behind it."""
    open_page(browser, report, 390)
    ratios = browser.execute_script("""
        const light = (color) => {
          const [r, g, b] = color.match(/[\\d.]+/g).map(Number).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (node) => {
          for (let e = node; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if (!color.startsWith("rgba(0, 0, 0, 0")) return color;
          }
          return "rgb(255, 255, 255)";
        };
        const texts = "p, li, td, th button, span, summary, figcaption, dt, dd, code, h1, h2, h3";
        return [...document.querySelectorAll(texts)]
          .map(e => [light(getComputedStyle(e).color), light(behind(e))])
          .map(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
    """)
    assert len(ratios) > 100
    assert min(ratios) >= 4.5


def test_a_report_that_fails_leaves_the_search_for_garbage_on(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError):
        write_reports({"mnist": Store(tmp_path / "mnist")}, tmp_path)
    assert gc.isenabled()
