"""Result files that lie: each is answered with one line that names file and line, and is left as it is."""

import csv
import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cli import run_command_line
from bench.record import plain, reading
from bench.record.columns import columns, to_cells
from bench.record.reading import read_rows
from bench.record.schema import EpochRow, Row, TrialRow
from bench.record.store import Store, StoreError
from tests.test_record import ROW, epoch

NAMES = columns(TrialRow)
GOOD = [to_cells(dataclasses.replace(ROW, trial=f"{number:016x}", seed=number), NAMES) for number in range(3)]


def text_of(rows: list[list[str]], names: list[str] = NAMES, delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", delimiter=delimiter).writerows([names, *rows])
    return text.getvalue()


def with_field(name: str, value: str) -> str:
    """Three good rows but for one field of the second, which stands in line 3."""
    rows = [list(row) for row in GOOD]
    rows[1][NAMES.index(name)] = value
    return text_of(rows)


LIES = {
    "another schema": (with_field("schema", "3"), "line 3: it has schema 3, and this version reads up to 2"),
    "accuracy above 1": (with_field("test_accuracy", "1.7"), "line 3: test_accuracy is 1.7, which lies outside 0 to 1"),
    "accuracy below 0": (with_field("train_accuracy", "-0.1"), "line 3: train_accuracy is -0.1"),
    "accuracy not a number": (with_field("test_accuracy", "nan"), "line 3: test_accuracy is not a number ('nan')"),
    "infinite loss": (with_field("test_loss", "inf"), "line 3: test_loss is not a number"),
    "loss beyond a float": (with_field("test_loss", "1e400"), "line 3: test_loss is not a number ('1e400')"),
    "loss of 400 digits": (with_field("test_loss", "9" * 400), "line 3: test_loss is not a number"),
    "no multiply-accumulates": (with_field("macs", "0"), "line 3: macs is 0, which lies outside"),
    "half a parameter": (with_field("parameters", "7616.5"), "line 3: parameters is not a whole number"),
    "no parameters": (with_field("parameters", "0"), "line 3: parameters is 0, which lies outside"),
    "a time in words": (with_field("started_at", "yesterday"), "line 3: started_at is not as this version writes it"),
    "a time of its own zone": (with_field("started_at", "2026-01-01T00:00:00+02:00"), "line 3: started_at is not as"),
    "a day that there is not": (with_field("started_at", "2026-02-30T00:00:00Z"), "line 3: started_at is not as"),
    "no shape": (with_field("input", "1x28"), "line 3: input is not as this version writes it, 3x32x32 ('1x28')"),
    "done without an accuracy": (with_field("test_accuracy", ""), "line 3: it says that the trial is done, and has no"),
    "no seed": (with_field("seed", ""), "line 3: seed is not a whole number ('')"),
    "seed in words": (with_field("seed", "three"), "line 3: seed is not a whole number ('three')"),
    "seed with an underscore": (with_field("seed", "1_0"), "line 3: seed is not a whole number"),
    "huge seed": (with_field("seed", "9" * 30), "line 3: seed is not a whole number"),
    "fractional epochs": (with_field("epochs", "1.5"), "line 3: epochs is not a whole number"),
    "no epochs": (with_field("epochs", "0"), "line 3: epochs is 0, which lies outside"),
    "neither on nor off": (with_field("batch_norm", "True"), "line 3: batch_norm is neither on nor off ('True')"),
    "unknown status": (with_field("status", "finished"), "line 3: status is none of done, diverged, failed"),
    "no key": (with_field("trial", ""), "line 3: trial is empty"),
    "duplicated key": (with_field("trial", GOOD[2][1]), "lines 3 and 4: both are of trial 0000000000000002"),
    "formula": (with_field("error", "=cmd|' /C calc'!A0"), "line 3: error is a spreadsheet formula"),
    "formula in a name": (with_field("architecture", "@SUM(A1)"), "line 3: architecture is a spreadsheet formula"),
    "10 MB field": (with_field("error", "x" * 10_000_000), "line 3: field larger than field limit"),
    "missing column": (
        text_of([row[:1] + row[2:] for row in GOOD], NAMES[:1] + NAMES[2:]),
        "has no column trial",
    ),
    "foreign delimiter": (text_of(GOOD, delimiter=";"), "has other separators than commas"),
    "tabs": (text_of(GOOD, delimiter="\t"), "has other separators than commas"),
    "another file": ("a,b\n1,2\n", "has other columns than this version writes"),
    "one field too many": (text_of([*GOOD, [*GOOD[0], "more"]]), f"line 5: it has {len(NAMES) + 1} fields"),
    "one field too few": (text_of([*GOOD, GOOD[0][:-1]]), f"line 5: it has {len(NAMES) - 1} fields"),
    "an empty line": (text_of(GOOD) + "\n" + text_of(GOOD).splitlines()[1] + "\n", "line 5: it has 0 fields"),
    "an open quote": (with_field("error", "").replace("0000000000000001", '"0000000000000001'), "line "),
    "a carriage return in the first line": ("\rschema,trial\n", "has no column schema"),
    "a 10 MB first line": ("x" * 10_000_000 + "\n", "has other columns than this version writes"),
    "an empty first line": ("\n", "has other columns than this version writes"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named_with_its_line(tmp_path: Path, lie: str) -> None:
    text, message = LIES[lie]
    store = Store(tmp_path)
    store.trials_path.write_bytes(text.encode())
    with pytest.raises(StoreError) as caught:
        store.trials()
    assert str(store.trials_path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.trials_path.read_bytes() == text.encode()


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.trials_path.write_bytes(text_of(GOOD).encode().replace(b"toggles", b"\xff\xfe", 1))
    with pytest.raises(StoreError, match="line 2: it is not UTF-8 text"):
        store.trials()


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").mkdir()
    with pytest.raises(StoreError, match=r"trials\.csv can't be read"):
        Store(tmp_path).trials()


def test_an_epoch_that_diverged_may_have_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW, [dataclasses.replace(epoch(ROW.trial, 1), train_loss=float("nan"), test_loss=float("inf"))])
    assert store.epochs()["test_loss"].tolist() == [float("inf")]
    assert store.epochs()["train_loss"].isna().all()


def test_what_looks_like_a_formula_is_disarmed_when_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(dataclasses.replace(ROW, status="failed", error="=1+1 went wrong"))
    assert store.trials()["error"].tolist() == ["'=1+1 went wrong"]


def test_a_failed_row_may_be_followed_by_another_try(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(dataclasses.replace(ROW, status="failed", error="worker died"))
    store.add_trial(ROW)
    assert store.trials()["status"].tolist() == ["failed", "done"]


def test_the_command_answers_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "trials.csv").write_text(LIES["accuracy above 1"][0])
    for command in (["report"], ["status", "--dataset", "digits"], ["run", "--all", "--dataset", "digits"]):
        assert run_command_line([*command, "--results", str(tmp_path)]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "line 3: test_accuracy is 1.7" in error


def hostile_texts() -> st.SearchStrategy[bytes]:
    """Files that were damaged: bytes replaced, inserted or cut, fields replaced by whatever comes."""
    good = text_of(GOOD).encode()
    damage = st.tuples(st.integers(0, len(good)), st.integers(0, 60), st.binary(max_size=60))
    damaged = st.lists(damage, min_size=1, max_size=3).map(lambda hits: _damaged(good, hits))
    field = st.tuples(
        st.sampled_from(NAMES),
        st.text(max_size=30) | st.floats(allow_subnormal=False).map(repr) | st.integers().map(str),
    )
    replaced = field.map(lambda pair: with_field(*pair).encode("utf-8", "surrogatepass"))
    return damaged | replaced | st.binary(max_size=300)


def _damaged(text: bytes, hits: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, instead in hits:
        text = text[:place] + instead + text[place + length :]
    return text


def rows_or_answer(store: Store) -> pd.DataFrame | str:
    try:
        return store.trials()
    except StoreError as error:
        return str(error)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=hostile_texts())
def test_no_file_is_believed_or_changed_or_answered_with_a_traceback(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "trials.csv"
    path.write_bytes(text)
    answer = rows_or_answer(Store(tmp_path))
    if isinstance(answer, str):
        assert str(path) in answer
        assert "\n" not in answer
    else:
        assert answer["test_accuracy"].dropna().between(0, 1).all()
        assert answer["status"].isin(["done", "diverged", "failed"]).all()
        assert (answer["epochs"] >= 1).all()
    assert path.read_bytes() == text


def frame_or_answer(path: Path, row_type: type[Row]) -> pd.DataFrame | str:
    try:
        return read_rows(path, row_type)
    except StoreError as error:
        return str(error)


def require_the_same(path: Path, row_type: type[Row]) -> None:
    """Whether the quick way changes what is read or said."""
    read = frame_or_answer(path, row_type)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_read_plain", lambda *_: None)
        expected = frame_or_answer(path, row_type)
    if isinstance(read, str) or isinstance(expected, str):
        assert str(read) == str(expected)
    else:
        pd.testing.assert_frame_equal(read, expected)


@pytest.mark.parametrize("text", ["TRUE", "true", "False"])
def test_a_truth_value_is_no_number(tmp_path: Path, text: str) -> None:
    """Alone in its column pandas reads one as 1.0."""
    path = tmp_path / "trials.csv"
    path.write_text(with_field("val_accuracy", text), encoding="utf-8")
    assert "val_accuracy is not a number" in str(frame_or_answer(path, TrialRow))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=hostile_texts())
def test_the_quick_way_reads_what_reading_field_by_field_does(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "trials.csv"
    path.write_bytes(text)
    require_the_same(path, TrialRow)


NUMBERS = st.text("0123456789.-+eE", max_size=6) | st.sampled_from(
    ["nan", "inf", "-inf", "NaN", "Infinity", " 1", "1 ", "1_0", "0x1", "9" * 18, "9" * 19, "1e400", "1e-400", "-0"]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=st.sampled_from(columns(EpochRow)[1:]), text=NUMBERS, ending=st.sampled_from(["\n", "\r\n"]))
def test_the_quick_way_knows_a_number_when_it_sees_one(tmp_path: Path, column: str, text: str, ending: str) -> None:
    path = tmp_path / "epochs.csv"
    rows = [to_cells(epoch("a", number), columns(EpochRow)) for number in (1, 2, 3)]
    rows[1][columns(EpochRow).index(column)] = text
    path.write_bytes(text_of(rows, columns(EpochRow)).replace("\n", ending).encode())
    require_the_same(path, EpochRow)


def test_what_the_harness_writes_is_read_the_quick_way(tmp_path: Path) -> None:
    failed = dataclasses.replace(ROW, trial="b", status="failed", error='a "bad" day, one of many')
    path = tmp_path / "trials.csv"
    for rows in ([ROW], [ROW, failed], [failed, ROW, dataclasses.replace(failed, trial="c")]):
        path.write_text(text_of([to_cells(row, NAMES) for row in rows]))
        assert reading._read_plain(path, TrialRow) is not None
        require_the_same(path, TrialRow)


@pytest.mark.parametrize("size", [1, 700, 1_000, 5_000])
def test_a_file_is_read_the_same_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Quoted fields, some with lines of their own, fall into pieces of their own or across two."""
    errors = [None, 'a "bad" day', "umlaut \N{LATIN SMALL LETTER U WITH DIAERESIS}", None]
    rows = [
        to_cells(dataclasses.replace(ROW, trial=f"{number}", status="failed", error=errors[number % 4]), NAMES)
        for number in range(40)
    ]
    path = tmp_path / "trials.csv"
    path.write_text(text_of(rows).replace("a bad", "a\nbad") + "1,half", encoding="utf-8")
    monkeypatch.setattr(plain, "_CHUNK", size)
    assert reading._read_plain(path, TrialRow) is not None
    require_the_same(path, TrialRow)
    path.write_text(text_of(rows).replace('""bad""', '""b\nad""'), encoding="utf-8")
    require_the_same(path, TrialRow)


def test_epochs_are_checked_as_trials_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_trial(ROW)
    bad = to_cells(epoch(ROW.trial, 1), columns(EpochRow))
    bad[columns(EpochRow).index("test_accuracy")] = "7"
    (tmp_path / "epochs.csv").write_text(text_of([bad], columns(EpochRow)))
    with pytest.raises(StoreError, match=r"epochs\.csv, line 2: test_accuracy is 7"):
        store.epochs()
