"""A broken study is told in one line what is wrong with it, whatever command it is given to, and nothing is lost."""

import multiprocessing
from pathlib import Path

import pytest

from tests.bad_studies import broken_when_built, broken_when_read, broken_when_trained
from tests.studies import GOOD, Ran, bench, edited, write

READ = dict(broken_when_read())
BUILT = dict(broken_when_built())
TRAINED = dict(broken_when_trained())

# How many of the slower ones the usual tests take.
EVERY = 8


def _one_line(name: str, ran: Ran) -> str | None:
    """What is wrong with how a broken study was told."""
    if ran.code != 2:
        return f"{name}: exit code {ran.code}, {ran.err or ran.out}"
    if len(ran.lines) != 1 or not ran.err.startswith("bench: ") or not ran.err.strip().isprintable():
        return f"{name}: {ran.err!r}"
    if "Traceback" in ran.err or len(ran.err) > 1100:
        return f"{name}: {ran.err!r}"
    return None


def test_there_are_enough_of_them() -> None:
    assert len({*READ.values(), *BUILT.values(), *TRAINED.values()}) > 800
    assert GOOD not in {*READ.values(), *BUILT.values(), *TRAINED.values()}


def test_what_they_are_made_of_is_good(tmp_path: Path) -> None:
    assert bench("list", write(tmp_path, GOOD)).code == 0


@pytest.mark.parametrize("part", range(8))
def test_a_study_that_is_broken_when_it_is_read(part: int, tmp_path: Path) -> None:
    names = list(READ)[part::8]
    told = [_one_line(name, bench("list", write(tmp_path, READ[name]))) for name in names]
    assert [problem for problem in told if problem] == []


@pytest.mark.parametrize("command", ["try", "run", "status", "show", "report", "select"])
def test_whatever_the_command(command: str, tmp_path: Path) -> None:
    names = list(READ)[::60]
    told = [_one_line(name, bench(command, write(tmp_path, READ[name]))) for name in names]
    assert [problem for problem in told if problem] == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def _runs(tmp_path: Path, text: str, workers: int = 0, *more: object) -> Ran:
    file = write(tmp_path, text)
    options = ("--no-report", "--no-timing", "--results", tmp_path / "results", "--data-dir", tmp_path)
    return bench("run", file, "--workers", workers, *options, *more)


@pytest.mark.parametrize("name", list(BUILT)[::EVERY])
def test_a_study_whose_networks_are_broken(name: str, tmp_path: Path) -> None:
    assert _one_line(name, _runs(tmp_path, BUILT[name])) is None
    assert _one_line(name, bench("try", write(tmp_path, BUILT[name]))) is None


@pytest.mark.parametrize("name", list(TRAINED)[::EVERY])
def test_a_study_that_is_broken_when_it_trains(name: str, tmp_path: Path) -> None:
    ran = bench("try", write(tmp_path, TRAINED[name]), "--factors", "label_smoothing")
    assert _one_line(name, ran) is None


@pytest.mark.slow
def test_all_whose_networks_are_broken(tmp_path: Path) -> None:
    told = [_one_line(name, _runs(tmp_path, text)) for name, text in BUILT.items()]
    told += [_one_line(name, bench("try", write(tmp_path, text))) for name, text in BUILT.items()]
    assert [problem for problem in told if problem] == []


@pytest.mark.slow
def test_all_that_are_broken_when_they_train(tmp_path: Path) -> None:
    told = [_one_line(name, bench("try", write(tmp_path, text))) for name, text in TRAINED.items()]
    assert [problem for problem in told if problem] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_run_ends_in_rows_or_a_line(name: str, tmp_path: Path) -> None:
    _ends_in_rows_or_a_line(name, tmp_path)


@pytest.mark.parametrize("name", list(TRAINED)[3 :: 4 * EVERY])
def test_a_run_ends_in_rows_or_a_line_at_once(name: str, tmp_path: Path) -> None:
    _ends_in_rows_or_a_line(name, tmp_path)


def _ends_in_rows_or_a_line(name: str, tmp_path: Path) -> None:
    """The preset trains all the same, and the trial that fails says why in its row; or nothing begins."""
    ran = _runs(tmp_path, TRAINED[name], 0, "--factors", "label_smoothing")
    assert "Traceback" not in ran.err
    if ran.code == 2:
        assert _one_line(name, ran) is None
    else:
        assert ran.code == 1
        [failed] = [line for line in ran.out.splitlines() if line.startswith("  failed: ")]
        assert failed.isprintable()
        assert "1 failed" in ran.out
        assert len((tmp_path / "results" / "mine" / "digits" / "trials.csv").read_text().splitlines()) == 3


LOCKED = """LOCK = threading.Lock()


def smoothed(recipe, level):
    with LOCK:
        pass
"""
LISTENING = """LINE = socket.socket()
LINE.close()


def smoothed(recipe, level):
    LINE.fileno()
"""
WITHHELD = "change=lambda recipe, level, held=(x for x in [1]): smoothed(recipe, level)"


@pytest.mark.parametrize(
    "text",
    [
        edited(("import torch\n", "import threading\n\nimport torch\n"), ("def smoothed(recipe, level):\n", LOCKED)),
        edited(("import torch\n", "import socket\n\nimport torch\n"), ("def smoothed(recipe, level):\n", LISTENING)),
        edited(("change=smoothed", WITHHELD)),
    ],
    ids=["a lock", "a socket", "a lambda that holds a generator"],
)
def test_what_cannot_travel_is_refused_before_anything_trains(text: str, tmp_path: Path) -> None:
    ran = _runs(tmp_path, text, 2)
    said, last = "can't be sent to other processes", ran.lines[-1]
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert last.startswith("bench: ")
    assert said in last
    assert not (tmp_path / "results" / "mine" / "digits" / "trials.csv").exists()
    tried = bench("try", write(tmp_path, text))
    assert tried.code == 2
    assert said in tried.out + tried.err


def test_a_study_may_draw_from_the_global_generators(tmp_path: Path) -> None:
    drawing = (
        "    import random\n\n    import numpy\n\n    rate = random.random() * numpy.random.rand() / 2\n    norm = ["
    )
    text = edited(("    norm = [", drawing), ("else []\n", "else []\n    norm = [*norm, nn.Dropout(rate)]\n"))
    ran = bench("try", write(tmp_path, text))
    assert (ran.code, ran.err) == (0, ""), ran.out


def test_an_import_that_fails_in_the_worker_only_is_said_in_the_rows(tmp_path: Path) -> None:
    guard = "    if multiprocessing.parent_process():\n        import no_such_module\n    norm = ["
    text = edited(("    norm = [", guard), ("import torch\n", "import multiprocessing\n\nimport torch\n"))
    assert multiprocessing.parent_process() is None
    ran = _runs(tmp_path, text, 2, "--design", "presets")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "No module named 'no_such_module'" in ran.out
    tried = bench("try", write(tmp_path, text))
    assert tried.code == 2
    assert "No module named 'no_such_module'" in tried.out
