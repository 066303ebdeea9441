"""Whose network, whose technique and whose data it was makes no difference: a study that shares nothing with the
built-in one passes through every command, and the engine names nothing of the built-in one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using

ROOT = Path(__file__).parent.parent
FAKE = str(ROOT / "tests" / "fake.py")

# What names the built-in study's networks, data, image sides and classes.
BUILT_IN = re.compile(
    r"\bmodel[1-9]\b|(?<![A-Z])mnist|(?<![.\w])28\b|\b(?<!hexadecimal )digits\b|\b10 classes|CLASSES = 10\b",
    re.IGNORECASE,
)

# Where it may be named: the study itself, and what reads the rows that it wrote before there were studies, for ever:
# they say neither their images' shape nor their networks' digests.
EXCEPTIONS = ("studies/", "record/schema1.py")

# Words in which the pattern means something else.
INNOCENT = (
    "bench.studies.mnist",
    "so that a mean far from 0 costs no digits",
    "cell.text | length < 28",
    "or as many digits as",
    "letters, digits, - and _",
    "`STUDY = Study(architectures=[tiny], data=",
)


def test_the_engine_names_nothing_of_the_built_in_study() -> None:
    found = []
    for path in [*(ROOT / "bench").rglob("*.py"), *(ROOT / "bench").rglob("*.jinja")]:
        name = path.relative_to(ROOT / "bench").as_posix()
        if name.startswith(EXCEPTIONS):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if BUILT_IN.search(line) and not any(words in line for words in INNOCENT):
                found.append(f"{name}:{number}: {line.strip()}")
    assert found == []


def test_as_published_is_said_only_of_what_was_published() -> None:
    """In the engine the words stand behind a question for published figures."""
    for path in (ROOT / "bench").rglob("*.py"):
        if "studies" not in path.parts:
            for line in path.read_text(encoding="utf-8").splitlines():
                if "as published" in line and not line.lstrip().startswith(('"""', "#")):
                    assert " if " in line, f"{path}: {line}"


@pytest.fixture(autouse=True)
def _built_in_again() -> Iterator[None]:
    with using(catalogue()):
        yield


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command on the fake study prints; it ends well, and no line is endless."""
    code = run_command_line([*arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert max(map(len, out.splitlines()), default=0) < 2000
    return out


def test_the_fake_study_passes_through_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All ways of the plain loop, each with its memory, take minutes beside other tests: `test_speed.py` has them.
    monkeypatch.setattr("bench.run.speed.usable_cores", lambda: 1)
    monkeypatch.setattr("bench.run.speed.LOADER_WORKERS", (0,))
    monkeypatch.setattr("bench.run.speed.measure_memory", lambda *_: {})
    results, reports = ["--results", str(tmp_path / "results")], ["--reports", str(tmp_path / "reports")]
    serial = ["--workers", "0", "--no-timing"]
    listed = printed(capsys, "list", FAKE)
    assert "otter" in listed
    assert "noise on training images" in listed
    assert "model" not in printed(capsys, "show", FAKE, "heron").replace("MODEL", "")
    plan = printed(capsys, "run", FAKE, "--plan", *results)
    assert "26 cells (29 counted by rate) x 2 seeds = 58 trials" in plan
    few = ["--factors", "width,noise", "--epochs", "1"]
    assert "otter width=16" in printed(capsys, "run", FAKE, *few, *results, *reports, *serial)
    assert "otter width=16" in printed(capsys, "status", FAKE, *few, "--why", *results)
    page = (tmp_path / "reports" / "fake" / "pebbles" / "index.html").read_text(encoding="utf-8")
    assert "<h1>Which technique tells pebbles apart?</h1>" in page
    assert f"python -m bench report {FAKE} --dataset pebbles" in page
    assert f"`python -m bench select {FAKE}` finds rates" in page
    assert "otter at its preset reaches" in page
    assert "ublished" not in page
    assert "mnist" not in page.lower()
    printed(capsys, "report", FAKE, *results, *reports)
    train = ["--model", "otter", "--level", "activation=tanh", "--epochs", "1", *results]
    assert "Total parameters" in printed(capsys, "train", FAKE, *train)
    rates = printed(capsys, "select", FAKE, "rates", "--models", "heron", "--epochs", "1", "--workers", "0", *results)
    assert re.search(r"^onecycle +off", rates, re.MULTILINE)
    speed = printed(capsys, "speed", FAKE, "--models", "heron", "--rounds", "2", "--workers", "1", *results)
    assert re.search(r"^heron .* times", speed, re.MULTILINE)
