"""Files that are rewritten: whatever goes wrong, the old one is there whole."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.check.baseline import baseline_path, read_baseline, write_baseline
from bench.check.output import write_junit
from bench.record.reading import WriteError
from bench.record.replacing import replace_text
from bench.record.schema import CorrectRow, ExactRow
from bench.record.store import Store
from bench.report.show import readme
from tests.test_record import ROW, epoch

RESULTS = Path(__file__).parent.parent / "results"


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The limit on the size of files stands in for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_a_readme_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_bytes(b"by hand\r\n" * 30)
    with files_no_longer_than(200), pytest.raises(readme.ReadmeError, match="File too large"):
        readme.write(file, "x" * 1000)
    assert file.read_bytes() == b"by hand\r\n" * 30
    assert os.listdir(tmp_path) == ["README.md"]


def test_a_full_disk_leaves_a_baseline_as_it_was(tmp_path: Path) -> None:
    rows = read_baseline(RESULTS, ExactRow)
    write_baseline(tmp_path, ExactRow, rows)
    path = baseline_path(tmp_path, ExactRow)
    whole = path.read_bytes()
    with files_no_longer_than(1000), pytest.raises(WriteError, match="File too large"):
        write_baseline(tmp_path, ExactRow, [replace(row, parameters=1) for row in rows])
    assert path.read_bytes() == whole
    assert os.listdir(path.parent) == ["exact.csv"]


def test_a_full_disk_leaves_what_another_tool_reads(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text("as it was")
    with files_no_longer_than(20), pytest.raises(WriteError, match="File too large"):
        write_junit(file, [])
    assert file.read_text() == "as it was"


def test_a_full_disk_leaves_rows_that_were_to_get_a_column(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW)
    whole = store.trials_path.read_bytes()
    wider = replace(ROW, trial="b", levels={**ROW.levels, "quite_new": "on"})
    with files_no_longer_than(len(whole) - 10), pytest.raises(WriteError, match="File too large"):
        store.add_trial(wider)
    assert store.trials_path.read_bytes() == whole
    assert os.listdir(tmp_path) == ["trials.csv"]


def test_a_trial_that_cannot_be_written_leaves_no_details_however_often(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW, [epoch(ROW.trial, 1)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = replace(ROW, trial="b")
    with files_no_longer_than(store.trials_path.stat().st_size + 20):
        for _ in range(3):
            with pytest.raises(WriteError, match=r"trials\.csv can't be written: File too large"):
                store.add_trial(second, [epoch("b", 1), CorrectRow("b", 8, "/w==")])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {**before, "correct.csv": b""}
    assert store.correct().empty
    store.add_trial(second, [epoch("b", 1), CorrectRow("b", 8, "/w==")])
    assert store.correct()["trial"].tolist() == ["b"]
    assert (tmp_path / "correct.csv").read_text().count("\n") == 2
    assert store.epochs()["trial"].tolist() == [ROW.trial, "b"]


def test_who_may_read_a_file_and_what_links_to_it_stay(tmp_path: Path) -> None:
    file, link, new = tmp_path / "file", tmp_path / "link", tmp_path / "new"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    replace_text(link, "a\r\nb\n")
    assert link.is_symlink()
    assert file.read_bytes() == b"a\r\nb\n"
    assert file.stat().st_mode & 0o777 == 0o640
    replace_text(new, "")
    (tmp_path / "made").touch()
    assert new.stat().st_mode == (tmp_path / "made").stat().st_mode


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_text(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert pipe.is_fifo()
