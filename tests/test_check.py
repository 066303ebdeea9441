"""`bench check`: verdicts, exit codes, exact rows, baselines, and what people and machines are shown."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.check.baseline import baseline_path, read_baseline, write_baseline
from bench.check.exact import compare_networks, measure_networks
from bench.check.output import MOST_ANNOTATIONS, annotations, markdown, table, write_json, write_junit
from bench.check.verdict import CheckRow, ExitCode, Interval, Kind, Verdict, exit_code, undecided
from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using
from bench.record.reading import StoreError
from bench.record.schema import ExactRow

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"

PASSED = CheckRow(Kind.EXACT, "one", Verdict.PASS, "1", "1", "as in the baseline")
FAILED = replace(PASSED, name="two", verdict=Verdict.FAIL, value="2", message="parameters 1 to 2")
UNSURE = replace(PASSED, name="three", verdict=Verdict.INCONCLUSIVE)
NEW = replace(PASSED, name="four", verdict=Verdict.NEW)
MISSING = replace(PASSED, name="five", verdict=Verdict.MISSING)


@pytest.mark.parametrize(
    ("rows", "strict", "code"),
    [
        ([PASSED], False, 0),
        ([PASSED, NEW], False, 4),
        ([PASSED, replace(NEW, kind=Kind.SPEED)], False, 0),
        ([PASSED, UNSURE], False, 0),
        ([PASSED, UNSURE], True, 4),
        ([UNSURE], False, 4),
        ([UNSURE, FAILED], True, 3),
        ([replace(NEW, kind=Kind.SPEED), PASSED], True, 0),
        ([PASSED, FAILED], False, 3),
        ([PASSED, MISSING], False, 4),
        ([FAILED, MISSING], False, 3),
        ([NEW], False, 4),
        ([], False, 4),
        ([], True, 4),
    ],
)
def test_the_exit_code_of_rows(rows: list[CheckRow], strict: bool, code: int) -> None:
    assert exit_code([Kind.EXACT], rows, strict=strict) == code


# Combinations of the switches of a network: three of models 1, 2 and 7; of the others two more, of 2 and 3 levels.
NETWORKS = 3 * 8 + 2 * 8 * 2 * 3


def test_a_kind_without_a_compared_row_was_not_measured() -> None:
    assert exit_code([Kind.EXACT, Kind.SPEED], [PASSED], strict=False) == ExitCode.NOT_DECIDED


def test_a_check_of_which_every_row_is_inconclusive_is_not_green_and_says_so() -> None:
    unsure = replace(UNSURE, kind=Kind.SPEED)
    rows = [PASSED, unsure, replace(unsure, name="other"), replace(NEW, kind=Kind.SPEED)]
    assert exit_code([Kind.EXACT, Kind.SPEED], rows, strict=False) == ExitCode.NOT_DECIDED
    [said] = undecided([Kind.EXACT, Kind.SPEED], rows, strict=False)
    assert said == "Every row of speed that was measured is inconclusive (2): this says nothing."
    decided = [*rows, replace(PASSED, kind=Kind.SPEED)]
    assert undecided([Kind.EXACT, Kind.SPEED], decided, strict=False) == []
    assert undecided([Kind.SPEED], decided, strict=True) == [
        "Of speed 2 of 4 rows are inconclusive, and --strict accepts none."
    ]


def test_this_tree_is_what_its_baseline_says() -> None:
    rows = compare_networks(measure_networks((1, 28, 28), 10), read_baseline(RESULTS, ExactRow))
    assert {row.verdict for row in rows} == {Verdict.PASS}
    assert len(rows) == NETWORKS


def switched(row: ExactRow) -> str:
    """What `compare_networks` calls a row."""
    return " ".join([row.architecture, *(f"{name}={level}" for name, level in row.levels.items())])


def test_exact_rows_are_compared_in_both_directions() -> None:
    known = read_baseline(RESULTS, ExactRow)
    first, second, *rest = known
    changed = replace(second, parameters=second.parameters + 1, layers=second.layers.replace("16x26x26", "17x26x26"))
    rows = {row.name: row for row in compare_networks([changed, *rest], known[:-1])}
    verdicts = [row.verdict for row in rows.values()]
    assert [verdicts.count(verdict) for verdict in (Verdict.FAIL, Verdict.NEW, Verdict.MISSING)] == [1, 1, 1]
    assert rows[switched(first)].verdict is Verdict.MISSING
    assert switched(first).startswith("model1 batch_norm=off gap=off dropout=0.0")
    failed = rows[switched(second)]
    assert "parameters 7,616 to 7,617" in failed.message
    assert "block1.conv:Conv2d:16x26x26:3 to block1.conv:Conv2d:17x26x26:3" in failed.message


def test_a_baseline_reads_as_it_was_written_and_its_changes_are_named(tmp_path: Path) -> None:
    rows = read_baseline(RESULTS, ExactRow)
    assert f"{NETWORKS} new, 0 gone" in write_baseline(tmp_path, ExactRow, rows)
    assert baseline_path(tmp_path, ExactRow).read_bytes() == baseline_path(RESULTS, ExactRow).read_bytes()
    changed = replace(rows[0], parameters=9)
    said = write_baseline(tmp_path, ExactRow, [changed, *rows[2:]])
    assert "1 rows changed, 0 new, 1 gone" in said
    assert "~ model1 off off 0.0 off off none: parameters 7616 to 9" in said
    assert "- model1 off off 0.1 off off" in said
    write_baseline(tmp_path, ExactRow, [replace(rows[0], receptive_field=None), *rows[1:]])
    assert [row.receptive_field for row in read_baseline(tmp_path, ExactRow)][:2] == [None, 34]


def test_a_baseline_with_a_row_twice_is_refused(tmp_path: Path) -> None:
    rows = read_baseline(RESULTS, ExactRow)
    write_baseline(tmp_path, ExactRow, [*rows, rows[0]])
    with pytest.raises(StoreError, match="two rows of the same"):
        read_baseline(tmp_path, ExactRow)


def test_without_a_baseline_nothing_was_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["check", "exact", "--results", str(tmp_path)]) == 4
    assert f"{NETWORKS} new" in capsys.readouterr().out
    assert run_command_line(["check", "exact", "--results", str(tmp_path), "--update"]) == 0
    assert run_command_line(["check", "exact", "--results", str(tmp_path)]) == 0


def test_a_baseline_that_lost_rows_is_not_green(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As after a disk was full, or a merge went wrong: at the end of a line, and in the middle of one."""
    path = baseline_path(tmp_path, ExactRow)
    path.parent.mkdir()
    whole = baseline_path(RESULTS, ExactRow).read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(whole[:15]), encoding="utf-8")
    assert run_command_line(["check", "exact", "--results", str(tmp_path)]) == 4
    out = capsys.readouterr().out
    assert f"not decided ({NETWORKS - 14} new, 14 pass)" in out
    assert "`python -m bench check --update` adds it" in " ".join(out.split())
    path.write_text("".join(whole)[:-20], encoding="utf-8")
    assert run_command_line(["check", "exact", "--results", str(tmp_path)]) == 4
    assert "ends in half a line" in " ".join(capsys.readouterr().out.split())


def test_a_broken_baseline_is_a_row_that_was_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = baseline_path(tmp_path, ExactRow)
    path.parent.mkdir()
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    assert run_command_line(["check", "exact", "--results", str(tmp_path)]) == 4
    assert "has other columns" in " ".join(capsys.readouterr().out.split())


def test_every_output_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    rows = read_baseline(RESULTS, ExactRow)
    write_baseline(tmp_path, ExactRow, [replace(rows[0], parameters=7), *rows[1:]])
    options = ["--json", str(tmp_path / "rows.json"), "--junit", str(tmp_path / "junit.xml")]
    assert run_command_line(["check", "exact", "--results", str(tmp_path), *options]) == 3
    printed = capsys.readouterr().out
    assert "::error file=architectures/model1.py,line=" in printed
    assert f",title=exact {switched(rows[0])}::" in printed
    assert "parameters 7 to 7,616" in printed
    assert "| fail" in (tmp_path / "summary.md").read_text()
    written = json.loads((tmp_path / "rows.json").read_text())
    assert written["exit_code"] == 3
    assert len(written["rows"]) == len(rows)
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(rows)), "1")


def test_junit_tells_skipped_from_passed(tmp_path: Path) -> None:
    write_junit(tmp_path / "junit.xml", [PASSED, FAILED, UNSURE, NEW, MISSING])
    cases = ET.parse(tmp_path / "junit.xml").getroot().findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["skipped"], ["skipped"], ["error"]]
    assert "inconclusive: " in str(cases[2][0].get("message"))


def test_what_is_not_known_is_null_in_json(tmp_path: Path) -> None:
    unknown = replace(UNSURE, interval=Interval(0.0, -1.0, float("inf"), 0.05, float("nan")), samples={"base": [0.1]})
    write_json(tmp_path / "rows.json", [unknown], [], ExitCode.PASS)
    [row] = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["interval"]["high"] is None
    assert row["samples"] == {"base": [0.1]}


def test_at_most_ten_errors_are_annotated_and_escaped() -> None:
    rows = [replace(FAILED, name=f"a,{number}", message="5 %\nworse") for number in range(14)]
    lines = annotations(rows)
    assert len(lines) == MOST_ANNOTATIONS
    assert lines[0] == "::error title=exact a%2C0::1 to 2: 5 %25%0Aworse"
    assert lines[-1].endswith("and 5 rows more")
    assert annotations([PASSED, UNSURE, NEW]) == []


def test_the_worst_rows_come_first() -> None:
    rows = [PASSED, UNSURE, FAILED]
    assert [line.split()[0] for line in table(rows).splitlines()[2:5]] == ["fail", "inconclusive", "pass"]
    assert "## bench check: regression (1 fail, 1 inconclusive, 1 pass)" in markdown(rows, [], ExitCode.REGRESSION)


def planted(folder: Path, file: str, old: str, new: str) -> int:
    """The exit code of `bench check exact` in a copy of this tree with a change."""
    for package in ("architectures", "bench"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = (folder / file).read_text(encoding="utf-8")
    assert old in source
    (folder / file).write_text(source.replace(old, new), encoding="utf-8")
    command = [sys.executable, "-m", "bench", "check", "exact", "--results", str(RESULTS), "--json", "rows.json"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


def messages(folder: Path) -> list[str]:
    rows = json.loads((folder / "rows.json").read_text())["rows"]
    return [f"{row['name']}: {row['message']}" for row in rows if row["verdict"] == "fail"]


@pytest.mark.slow
def test_one_more_channel_is_caught(tmp_path: Path) -> None:
    assert planted(tmp_path, "architectures/model2.py", "Conv(12, padding=1)", "Conv(13, padding=1)") == 3
    failed = messages(tmp_path)
    assert len(failed) == 8
    assert any("block6.conv:Conv2d:12x3x3:26 to block6.conv:Conv2d:13x3x3:26" in message for message in failed)


def test_a_missing_batch_norm_is_caught(tmp_path: Path) -> None:
    switch, with_one_missing = "if batch_norm:", "if batch_norm and conv.pool == 1:"
    assert planted(tmp_path, "architectures/blocks.py", switch, with_one_missing) == 3
    failed = messages(tmp_path)
    assert len(failed) == NETWORKS / 2
    assert all("batch_norm=on" in message for message in failed)
    assert any("block3.norm:BatchNorm2d:16x22x22:7 to block3.relu:ReLU:16x22x22:7" in text for text in failed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            "    size = (height, width)\n",
            "    # a comment\n    size = (height, width)\n",
            id="comment",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "    channels, height, width = shape\n    size",
            "    channels, *sides = shape\n    height, width = sides\n    size",
            id="refactoring",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_harmless_change_passes(tmp_path: Path, old: str, new: str) -> None:
    assert planted(tmp_path, "architectures/blocks.py", old, new) == 0


def test_a_study_of_ones_own_is_checked_against_its_own_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a whole-number factor frames hold floats, and one layer sees the whole image: neither is another network."""
    command = ["check", "exact", str(ROOT / "tests" / "fake.py"), "--results", str(tmp_path)]
    with using(catalogue()):
        assert run_command_line([*command, "--update"]) == 0
        assert "24 new, 0 gone" in capsys.readouterr().out
        assert run_command_line(command) == 0
        assert "24 pass" in capsys.readouterr().out
    assert (tmp_path / "fake" / "baseline" / "exact.csv").exists()
