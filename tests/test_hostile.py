"""Files and command lines that somebody damaged at random: no traceback, and no number that isn't there.

A few hundred of each are tried by default; `pytest -m slow tests/test_hostile.py` tries thousands.
"""

import contextlib
import io
import math
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cli import run_command_line
from bench.errors import BenchError
from bench.plan.cells import preset_cell
from bench.record.store import Store, StoreError
from bench.report.report import Report
from bench.report.sections import make_tables
from bench.report.sections.confusion.counts import confusions
from bench.report.show import readme
from bench.session.reports import todays_evidence
from bench.studies.data import DATASETS, IDX_FILES
from tests.conftest import write_idx_files
from tests.synthetic import write_rows


def slowly(examples: int, more: int) -> pytest.MarkDecorator:
    """A test with so many examples, and one with more for who has the time."""
    return pytest.mark.parametrize("examples", [examples, pytest.param(more, marks=pytest.mark.slow)])


def tried(examples: int, strategy: st.SearchStrategy[Any], holds: Callable[[Any], None]) -> None:
    """Whether something holds for so many examples."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=checks)
    @given(strategy)
    def each(example: Any) -> None:
        holds(example)

    each()


def require_one_line(error: BenchError, named: str = "") -> None:
    assert "\n" not in str(error)
    assert named in str(error)


NUMBERS = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "1",
        "2",
        "0.5",
        "1e400",
        "1e-400",
        "nan",
        "inf",
        "-inf",
        "9" * 18,
        "9" * 400,
        "1_0",
        "0x1",
        "10000000",
    ]
)
WORDS = st.sampled_from(
    ["on", "off", "done", "failed", "diverged", "model1", "model9", "=1+1", "../x", "1x28x28", "999x9999x9999", "AAAA",
     "!!!!", "0:0:1", "0:0", "1 2 3", "\N{GREEK SMALL LETTER ALPHA}", '"', "'", "a,b", "\x00", "\r",
     "2026-01-01T00:00:00Z"]
)  # fmt: skip


@pytest.fixture(scope="module")
def good_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows") / "mnist"
    write_rows(folder, [preset_cell("model1"), preset_cell("model2")], seeds=2, images=60)
    return folder


# Parameters and MACs of model1 and model2.
SIZES = {(7616, 1485972), (7798, 1493496)}


def damages(files: list[str]) -> st.SearchStrategy[tuple[str, int, int, str | bytes]]:
    """A file, a line, a field, and what is put in its place; bytes are put at any place of the file."""
    field = NUMBERS | WORDS | st.text(st.characters(codec="utf-8"), max_size=12)
    return st.tuples(st.sampled_from(files), st.integers(0, 400), st.integers(0, 60), field | st.binary(max_size=20))


def damaged(text: bytes, line: int, field: int, instead: str | bytes) -> bytes:
    if isinstance(instead, bytes):
        place = (line * 61 + field) % (len(text) + 1)
        return text[:place] + instead + text[place + field % 7 :]
    lines = text.decode().split("\n")
    row = 1 + line % max(len(lines) - 2, 1)
    fields = lines[row].split(",")
    fields[field % len(fields)] = instead
    lines[row] = ",".join(fields)
    return "\n".join(lines).encode()


@slowly(60, 700)
def test_damaged_rows(good_rows: Path, tmp_path: Path, examples: int) -> None:
    files = sorted(path.name for path in good_rows.glob("*.csv"))
    folder = tmp_path / "mnist"
    shutil.copytree(good_rows, folder)

    def holds(damage: tuple[str, int, int, str | bytes]) -> None:
        name, line, field, instead = damage
        whole = (good_rows / name).read_bytes()
        (folder / name).write_bytes(damaged(whole, line, field, instead))
        try:
            require_sound_numbers(folder)
        except BenchError as error:
            require_one_line(error)
        finally:
            (folder / name).write_bytes(whole)

    tried(examples, damages(files), holds)


def test_a_time_of_no_seconds_is_named(good_rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    shutil.copytree(good_rows, folder)
    header, row, *rest = (folder / "timings.csv").read_text().split("\n")
    fields = row.split(",")
    fields[header.split(",").index("seconds")] = "0"
    (folder / "timings.csv").write_text("\n".join([header, ",".join(fields), *rest]))
    with pytest.raises(StoreError, match="line 2: seconds is 0, which lies outside"):
        require_sound_numbers(folder)


def require_sound_numbers(folder: Path) -> None:
    """Reads all that a report reads, and makes its tables. Raises BenchError."""
    analysis = Report(todays_evidence(Store(folder), folder.name), 0.0005)
    evidence = analysis.evidence
    assert evidence.trials["test_accuracy"].between(0, 1).all()
    assert np.isfinite(evidence.trials[["test_accuracy", "test_loss", "lr"]].to_numpy(float)).all()
    assert set(evidence.trials[["parameters", "macs"]].itertuples(index=False, name=None)) <= SIZES
    for cell in evidence.cells:
        seeds, bits = evidence.bits(cell)
        assert not seeds or bits.shape == (len(seeds), evidence.correct["images"].iloc[0])
    for confusion in confusions(analysis):
        assert (confusion.counts >= 0).all()
    for table in make_tables(analysis):
        table.markdown()


@slowly(120, 700)
def test_damaged_images_and_labels(tmp_path: Path, examples: int) -> None:
    folder = tmp_path / "KMNIST" / "raw"
    write_idx_files(folder)
    count = st.sampled_from([10, 20, 0, 1, 2**32 - 1])
    size = st.sampled_from([0, 1, 14, 28, 30, 56, 2**16, 2**32 - 1])
    another_shape = st.tuples(st.booleans(), count | st.none(), size, size)
    shorter = st.integers(0, 400)
    last_byte = st.binary(min_size=1, max_size=1)

    def holds(example: tuple[str, tuple[bool, int | None, int, int] | int | bytes]) -> None:
        name, damage = example
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(damaged_idx(whole, damage))
        try:
            data = DATASETS["kmnist"].load(tmp_path)
        except BenchError as error:
            require_one_line(error, name)
        else:
            require_what_the_files_hold(folder, data.train.images, data.train.labels, "train")
            require_what_the_files_hold(folder, data.held_out.images, data.held_out.labels, "t10k")
            assert data.train.images.shape[1:] == data.held_out.images.shape[1:]
        finally:
            (folder / name).write_bytes(whole)

    tried(examples, st.tuples(st.sampled_from(IDX_FILES), another_shape | shorter | last_byte), holds)


def damaged_idx(whole: bytes, damage: tuple[bool, int | None, int, int] | int | bytes) -> bytes:
    """With another magic number or shape, and where that is not much, as many bytes as it says; shorter; or with
    another last byte."""
    if isinstance(damage, int):
        return whole[:damage]
    if isinstance(damage, bytes):
        return whole[:-1] + damage
    other_magic, count, height, width = damage
    magic, true_count = struct.unpack(">II", whole[:8])
    shape = [true_count if count is None else count, height, width][: 3 if magic == 0x803 else 1]
    body = bytes(math.prod(shape)) if math.prod(shape) <= 200_000 else whole[16:]
    return struct.pack(f">{1 + len(shape)}I", 7 if other_magic else magic, *shape) + body


def require_what_the_files_hold(folder: Path, images: Any, labels: Any, part: str) -> None:
    count, _, height, width = images.shape
    expected = struct.pack(">IIII", 0x803, count, height, width) + images.numpy().tobytes()
    assert (folder / f"{part}-images-idx3-ubyte").read_bytes() == expected
    assert (folder / f"{part}-labels-idx1-ubyte").read_bytes() == struct.pack(">II", 0x801, count) + bytes(
        labels.tolist()
    )
    assert max(labels.tolist()) < 10


OPTIONS = [
    "--models", "--design", "--factors", "--seeds", "--epochs", "--batch-size", "--lr", "--optimizer",
    "--precision", "--device", "--val", "--workers", "--cluster", "--gpus-per-stack", "--model", "--seed",
    "--dropout", "--rounds", "--margin", "--where", "--file", "--reports", "--dataset", "--pairs", "--tolerance",
    "--only", "--against", "--aa", "--all", "--plan", "--check", "--strict", "--update", "--json", "--junit",
    "--nonsense", "-h", "--"
]  # fmt: skip
VALUES = NUMBERS | WORDS | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
COMMANDS = (
    "run",
    "train",
    "select",
    "speed",
    "status",
    "report",
    "readme",
    "show",
    "data list",
    "check exact",
    "nothing",
)


@slowly(120, 700)
def test_hostile_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    """No data is there, so that nothing is trained however well a command line is formed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DATASETS["digits"].__class__, "present", lambda *_: False)
    absent = ["--dataset", "mnist", "--data-dir", "nowhere"]
    places = {
        "report": ["--results", "nowhere"],
        **dict.fromkeys(("run", "train", "select", "speed", "status"), absent),
    }

    def holds(example: tuple[str, list[tuple[str, str | None]]]) -> None:
        command, options = example
        arguments = [part for pair in options for part in pair if part is not None and "\x00" not in part]
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
            code = run_command_line([*command.split(), *arguments, *places.get(command, [])])
        assert code in {0, 1, 2, 3, 4}
        assert printed.getvalue().count("\n") == (0 if code in {0, 3, 4} else 1), printed.getvalue()

    options = st.lists(st.tuples(st.sampled_from(OPTIONS), VALUES | st.none()), max_size=3)
    tried(examples, st.tuples(st.sampled_from(COMMANDS), options), holds)


class Bodies:
    """Stands in for a data set's blocks."""

    def __init__(self, *_: object) -> None:
        pass

    def body(self, name: str) -> str:
        if name.startswith("bad"):
            raise readme.ReadmeError(f"no block is called {name!r}")
        return f"| {name} |\n|---|"


MARKERS = [
    "<!-- bench: mnist targets -->", "<!-- bench: mnist bad -->", "<!-- bench: end -->", "<!-- bench: mnist -->",
    "<!-- bench:end -->", " <!-- bench: end -->", "<!-- bench: end --> ",
    "<!-- bench: a b c -->", "text", "", "| targets |",
]  # fmt: skip


@slowly(200, 700)
def test_hostile_markers(monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    monkeypatch.setattr(readme, "_Blocks", Bodies)

    def holds(lines: list[tuple[str, str]]) -> None:
        text = "".join(line + end for line, end in lines)
        try:
            new = readme.rewrite(text, lambda *_: None, "reports")  # type: ignore[arg-type]
        except BenchError as error:
            require_one_line(error)
            return
        assert readme.rewrite(new, lambda *_: None, "reports") == new  # type: ignore[arg-type]
        block = re.compile(r"^(<!-- bench: mnist targets -->\r?\n)(.*?)^<!-- bench: end -->", re.MULTILINE | re.DOTALL)
        assert block.sub("", text) == block.sub("", new)
        for first, body in block.findall(new):
            end = first.removeprefix("<!-- bench: mnist targets -->")
            assert body == f"| targets |{end}|---|{end}"

    line = st.sampled_from(MARKERS) | st.text(st.characters(codec="utf-8"), max_size=10)
    tried(examples, st.lists(st.tuples(line, st.sampled_from(["\n", "\r\n", ""])), max_size=8), holds)
