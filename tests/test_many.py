"""A hundred architectures and thirty factors pass through every command that takes a study."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.plan.catalogue import Catalogue, catalogue, using
from bench.plan.designs import toggles
from bench.plan.protocol import Protocol
from bench.studies.load import load_study
from tests.fake_rows import write_rows
from tests.studies import Ran, bench

pytestmark = pytest.mark.slow

MANY = f"{Path(__file__).parent / 'fake.py'}:MANY"

# Every level of 30 factors on 100 architectures, and two of the harness's own: 63 cells an architecture.
CELLS = 6_300

# Two architectures and four factors, of the network and of the training: 7 cells an architecture.
FEW = ["--models", "net000,net099", "--factors", "technique00,technique01,technique12,technique13"]


@pytest.fixture(scope="module")
def many() -> Iterator[Catalogue]:
    with using(load_study(MANY)):
        yield catalogue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `results` and `reports` of a run of few of the cells."""
    folder = tmp_path_factory.mktemp("many")
    done(*_run(folder), "--workers", "2", "--no-timing")
    return folder


def _run(folder: Path) -> list[object]:
    plan = [*FEW, "--seeds", "2", "--epochs", "1", "--precision", "fp32"]
    return ["run", MANY, *plan, "--results", folder / "results", "--reports", folder / "reports"]


def done(*command: object) -> Ran:
    ran = bench(*command)
    assert ran.code == 0, ran.err
    return ran


def test_they_are_listed_and_shown() -> None:
    listed = done("list", MANY).out
    assert all(f"net{number:03d}" in listed for number in range(100))
    assert all(f"technique{number:02d}" in listed for number in range(30))
    shown = done("show", MANY, "net099").out
    assert shown.startswith("net099: Every level makes a network of its own\n")


def test_the_whole_plan_is_counted(tmp_path: Path) -> None:
    told = done("status", MANY, "--precision", "fp32", "--results", tmp_path).out
    assert len(re.findall(r"^net\d{3} .*0 +0 +0 +0 +3$", told, re.MULTILINE)) == CELLS


def test_a_plan_is_estimated(tmp_path: Path) -> None:
    told = done("run", MANY, "--plan", "--models", "net000,net050", "--results", tmp_path).out
    assert re.search(
        r"126 cells x 3 seeds = 378 trials: 0 recorded, 306 to train, 72 the same as one of these$", told, re.M
    )
    assert "About " in told


def test_rows_of_all_of_them_are_reported_and_printed(many: Catalogue, tmp_path: Path) -> None:
    """Made up; of the network's factors a third, lest their digests take minutes."""
    factors = [factor for factor in many.factors if not re.fullmatch(r"technique(0[4-9]|1[01])", factor.name)]
    cells = list(dict.fromkeys(toggles(list(many.architectures), factors)))
    data = many.datasets["pebbles"].load(tmp_path)
    write_rows(tmp_path / "results" / many.name / "pebbles", cells, 2, Protocol("pebbles", epochs=2), data)
    places = ["--results", tmp_path / "results", "--reports", tmp_path / "reports"]
    done("report", MANY, *places)
    folder = tmp_path / "reports" / many.name / "pebbles"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "<h1>Many techniques on many networks</h1>" in page
    effects = (folder / "tables" / "effects.csv").read_text(encoding="utf-8")
    for text in (page, effects):
        assert all(f"net{number:03d}" in text for number in range(100))
        assert all(factor.name in text.lower() for factor in factors if factor.name.startswith("technique"))
    printed = done("rows", MANY, *places[:2]).out.splitlines()
    assert len(printed) == 1 + 2 * len(cells)


def test_a_run_is_trained_reported_counted_and_repeated(trained: Path) -> None:
    [folder] = (trained / "results").iterdir()
    [run] = (folder / "pebbles" / "runs").glob("*.json")
    again = done("rerun", run, "--workers", "2", "--results", trained / "results", "--no-report")
    assert "14 cells x 2 seeds = 28 trials: 28 recorded, 0 to train" in again.out
    told = done("status", MANY, *FEW, "--seeds", "2", "--epochs", "1", "--precision", "fp32", "--why",
                "--results", trained / "results")  # fmt: skip
    assert len(re.findall(r"^net\d{3}.* 2 +0 +0 +0 +0$", told.out, re.MULTILINE)) == 14
    assert (trained / "reports" / folder.name / "pebbles" / "index.html").exists()


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("try", [*FEW, "--seconds", "30"], "every level of 4 factors changes something"),
        ("train", ["--model", "net099", "--level", "technique02=8", "--level", "technique17=0.5", "--epochs", "1"],
         "technique02"),
        ("select", ["rates", "--models", "net000", "--epochs", "1", "--workers", "0"], "rates="),
        ("speed", ["--models", "net000", "--rounds", "2", "--workers", "1"], "net000 .* times"),
    ],
)  # fmt: skip
def test_the_commands_that_train_for_themselves(tmp_path: Path, command: str, options: list[str], said: str) -> None:
    places = [] if command == "try" else ["--results", tmp_path]
    assert re.search(said, done(command, MANY, *options, *places).out)


def test_the_gate_holds_what_every_network_is_made_of(tmp_path: Path) -> None:
    done("check", "exact", MANY, "--results", tmp_path, "--update")
    [baseline] = tmp_path.rglob("exact.csv")
    assert len(baseline.read_text().splitlines()) > 100
    done("check", "exact", MANY, "--results", tmp_path)
