"""Folders of rows from two machines, read as one by `bench report` and `bench status`."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import preset_cell
from bench.plan.designs import toggles
from bench.plan.protocol import Protocol
from bench.record.several import Several, as_one
from bench.record.store import Store
from bench.report.evidence import gather
from bench.studies.load import load_study
from tests.fake_rows import write_rows
from tests.studies import Ran, bench

FAKE = str(Path(__file__).parent / "fake.py")
PROTOCOL = Protocol("pebbles", epochs=2, batch_size=32)
PLAN = ["--factors", "width", "--seeds", "4", "--precision", "fp32"]

# What of a trial stands in files of its own.
DETAILS = ("epochs.csv", "correct.csv", "confusion.csv")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The rows of a folder that one machine filled: widths on both networks, four seeds."""
    folder = tmp_path_factory.mktemp("several") / "whole"
    with using(load_study(FAKE)):
        write_cells(folder, 4, PROTOCOL)
        yield folder


def write_cells(root: Path, seeds: int, protocol: Protocol) -> Store:
    data = next(iter(catalogue().datasets.values())).load(Path("unused"))
    cells = list(dict.fromkeys(toggles(["otter", "heron"], [catalogue().by_name["width"]])))
    return write_rows(place(root), cells, seeds, protocol, data)


def place(root: Path) -> Path:
    return root / "fake" / "pebbles"


def part_of(whole: Path, root: Path, keep: Callable[[pd.DataFrame], "pd.Series[bool]"]) -> Store:
    """A folder with some of the trials and what goes with them."""
    folder = place(root)
    shutil.copytree(place(whole), folder)
    trials = pd.read_csv(folder / "trials.csv", dtype=str, keep_default_na=False)
    kept = trials[keep(trials)]
    kept.to_csv(folder / "trials.csv", index=False, lineterminator="\n")
    for name in DETAILS:
        rows = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        rows[rows["trial"].isin(kept["trial"])].to_csv(folder / name, index=False, lineterminator="\n")
    return Store(folder)


def seeds(first: int, last: int) -> Callable[[pd.DataFrame], "pd.Series[bool]"]:
    return lambda trials: trials["seed"].astype(int).between(first, last)


def edit_first(store: Store, column: str, value: str) -> str:
    """Gives the first row another value; the row's trial."""
    trials = pd.read_csv(store.trials_path, dtype=str, keep_default_na=False)
    trials.loc[0, column] = value
    trials.to_csv(store.trials_path, index=False, lineterminator="\n")
    return str(trials.loc[0, "trial"])


def at(*roots: Path) -> list[str]:
    return [word for root in roots for word in ("--results", str(root))]


def contents(roots: Sequence[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file()}


def reported(folder: Path, *roots: Path) -> tuple[Ran, dict[str, bytes]]:
    """What `bench report` prints, and its files, with the command that made them left out."""
    ran = bench("report", FAKE, *at(*roots), "--reports", folder)
    given = "".join(f" {word}" for word in at(*roots)).encode()
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(given, b"")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return ran, files


def test_parts_of_a_folder_give_its_report_byte_for_byte_and_stay_as_they_are(whole: Path, tmp_path: Path) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    part_of(whole, parts[0], seeds(0, 2))
    part_of(whole, parts[1], seeds(2, 3))
    before = contents(parts)
    alone, expected = reported(tmp_path / "alone", whole)
    joined, found = reported(tmp_path / "joined", *parts)
    assert alone.code == joined.code == 0, alone.err + joined.err
    assert joined.err == ""
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert contents(parts) == before
    told = f"python -m bench report {FAKE} --dataset pebbles --results {parts[0]} --results {parts[1]}"
    assert told in (tmp_path / "joined" / "fake" / "pebbles" / "README.md").read_text()


def test_status_counts_a_trial_that_both_have_once(whole: Path, tmp_path: Path) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    part_of(whole, parts[0], seeds(0, 1))
    part_of(whole, parts[1], seeds(1, 2))
    told = bench("status", FAKE, *PLAN, *at(*parts))
    assert told.code == 0, told.err
    assert [line.split()[-5:] for line in told.out.splitlines() if line.startswith(("otter", "heron"))] == (
        [["3", "0", "0", "0", "1"]] * 6
    )
    assert f"Rows: {place(parts[0])}/trials.csv, {place(parts[1])}/trials.csv" in told.out
    assert bench("status", FAKE, *PLAN, *at(parts[0])).out.count(" 2 ") >= 6


def test_rows_of_another_protocol_are_not_pooled(whole: Path, tmp_path: Path) -> None:
    with using(load_study(FAKE)):
        other = write_cells(tmp_path / "other", 2, replace(PROTOCOL, batch_size=16))
        evidence = gather(Several([Store(place(whole)), other]), "pebbles")
        assert evidence.protocol["batch_size"] == 32
        assert len(evidence.trials) == 6 * 4
        assert evidence.left_out == ("12 trials under 1 other protocol",)
        assert list(evidence.values(preset_cell("otter"))) == [0, 1, 2, 3]
        assert sorted(evidence.swept["batch_size"]["batch_size"].unique()) == [16, 32]


def test_of_a_trial_that_ended_otherwise_the_first_folders_row_counts_and_it_is_said(
    whole: Path, tmp_path: Path
) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    first, second = (part_of(whole, part, seeds(0, 3)) for part in parts)
    trial = edit_first(second, "test_accuracy", "0.5")
    with using(load_study(FAKE)):
        for number, stores in enumerate(((first, second), (second, first))):
            joined = Several(stores)
            rows = joined.trials().set_index("trial")
            assert joined.different == 1
            assert len(rows) == 6 * 4
            assert bool(rows.loc[trial, "test_accuracy"] == 0.5) is bool(number)
    for command in (["status", FAKE, *PLAN], ["report", FAKE, "--reports", tmp_path / "reports"]):
        told = bench(*command, *at(*parts))
        assert told.code == 0
        assert told.err == (
            "bench: 1 trials ended otherwise in another of the folders; the first folder that has a trial counts\n"
        )


def test_of_a_trial_that_failed_in_the_first_folder_the_others_row_and_details_count(
    whole: Path, tmp_path: Path
) -> None:
    first, second = (part_of(whole, tmp_path / name, seeds(0, 3)) for name in ("a", "b"))
    text = first.trials_path.read_text().splitlines()
    trial = edit_first(first, "status", "failed")
    for column in ("test_accuracy", "test_loss", "train_accuracy", "train_loss", "best_test_accuracy"):
        edit_first(first, column, "")
    edit_first(first, "error", "no memory")
    for name in DETAILS:
        path = first.folder / name
        path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith(trial)))
    with using(load_study(FAKE)):
        joined = Several([first, second])
        assert joined.different == 0
        assert set(joined.trials()["status"]) == {"done"}
        assert trial in set(joined.correct()["trial"])
        assert len(joined.epochs()) == 2 * len(joined.trials()) == 2 * (len(text) - 1)


def test_one_folder_is_read_as_ever(whole: Path) -> None:
    store = Store(place(whole))
    assert as_one([store]) is store


def test_nothing_is_written_to_several(whole: Path, tmp_path: Path) -> None:
    store = part_of(whole, tmp_path, seeds(0, 0))
    with using(load_study(FAKE)), pytest.raises(TypeError, match="only read"):
        Several([store, store]).add_class_names("0" * 16, ["a"])


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_folder_without_rows_is_no_part_of_them(
    whole: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with using(catalogue()):
        assert run_command_line([command, FAKE, *at(whole, tmp_path / "typo")]) == 1
    assert f"{tmp_path / 'typo' / 'fake'} has no rows" in capsys.readouterr().err


def test_a_report_on_folders_says_what_it_pooled_and_why_not_the_rest(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders of the data set itself, from two people; one has rows of another number of epochs as well."""
    first = part_of(whole, tmp_path / "a", lambda rows: rows["seed"].isin(["0", "1"]))
    second = part_of(whole, tmp_path / "b", lambda rows: rows["seed"].isin(["2", "3"]))
    with using(load_study(FAKE)):
        longer = write_cells(tmp_path / "c", 1, replace(PROTOCOL, epochs=3))
    folders = [store.folder for store in (first, second, longer)]
    command = ["report", FAKE, *map(str, folders), "--reports", str(tmp_path / "reports")]
    assert run_command_line(command) == 0
    said = capsys.readouterr().out
    cells = len(first.trials()) // 2
    for store in (first, second):
        assert f"{store.folder.as_posix()}: {2 * cells} trials of {cells} cells" in said
    assert f"{longer.folder.as_posix()}: {len(longer.trials())} trials with epochs 3, not 2" in said
    assert run_command_line([*command[:3], str(tmp_path / "nothing")]) == 2
    assert "there is no folder" in capsys.readouterr().err
