"""What a run resolved stands beside its rows, and `bench rerun` repeats it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import built_in, use
from bench.record.store import Store
from bench.session.recorded import read_run
from tests.test_crash import TIMES

STUDY = '''"""Small."""
from torch import nn

from bench.study import Factor, Study


def tiny(shape, classes, *, width=4, batch_norm=False):
    """A convolution."""
    norm = [nn.BatchNorm2d(width)] if batch_norm else []
    return nn.Sequential(nn.Conv2d(shape[0], width, 3, 2), *norm, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(4 * width, classes))


STUDY = Study(architectures=[tiny], factors=[Factor("width", (4, 6))], data="digits", epochs=1, seeds=1,
              rates=0.05, precision="fp32")
'''
QUIET = ["--no-timing", "--no-report", "--workers", "0"]


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.py").write_text(STUDY)
    yield
    use(built_in())


def run_once(capsys: pytest.CaptureFixture[str]) -> Path:
    arguments = ["run", "small.py", "--factors", "width", "--seeds", "0,3", *QUIET]
    assert run_command_line(arguments) == 0
    capsys.readouterr()
    [path] = Path("results/small/digits/runs").glob("*.json")
    return path


def rows() -> pd.DataFrame:
    return Store(Path("results/small/digits")).trials()


def test_what_a_run_resolved_stands_beside_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    path = run_once(capsys)
    said = json.loads(path.read_text())
    assert rows()["run"].unique().tolist() == [path.stem] == [said["run"]]
    assert said["study"]["named"] == "small.py"
    assert said["study"]["digest"] == rows()["source"].iloc[0]
    assert said["data"] == {"name": "digits", "digest": rows()["data"].iloc[0]}
    assert said["seeds"] == [0, 3]
    assert said["models"] == ["tiny"]
    assert said["factors"] == ["width"]
    assert [(one["cell"], one["lr"]) for one in said["cells"]] == [("tiny", 0.05), ("tiny width=6", 0.05)]
    assert said["protocol"]["epochs"] == 1
    assert said["protocol"]["precision"] == "fp32"
    assert said["given"]["seeds"] == "0,3"
    assert said["versions"]["torch"]

    assert run_command_line(["run", "small.py", "--factors", "width", "--seeds", "0,3", *QUIET]) == 0
    assert len(list(path.parent.glob("*.json"))) == 1  # nothing was trained


def test_a_run_is_repeated_whatever_the_defaults_are_by_now(capsys: pytest.CaptureFixture[str]) -> None:
    path = run_once(capsys)
    before = rows()
    changed = STUDY.replace("epochs=1, seeds=1", "epochs=2, seeds=4, batch_size=32").replace("rates=0.05", "rates=0.2")
    Path("small.py").write_text(changed)
    assert run_command_line(["rerun", path.stem, *QUIET]) == 0
    told = capsys.readouterr().out
    assert "small.py has changed since this run" in told
    assert "2 cells x 2 seeds = 4 trials: 4 recorded, 0 to train" in told

    (path.parent.parent / "trials.csv").unlink()
    assert run_command_line(["rerun", str(path), *QUIET]) == 0
    same = [name for name in before.columns if name not in {*TIMES, "run", "source", "started_at"}]
    pd.testing.assert_frame_equal(rows()[same], before[same])


def test_a_changed_network_is_trained_anew(capsys: pytest.CaptureFixture[str]) -> None:
    path = run_once(capsys)
    Path("small.py").write_text(STUDY.replace("nn.ReLU()", "nn.Tanh()"))
    assert run_command_line(["rerun", path.stem, *QUIET]) == 0
    assert "0 recorded, 4 to train" in capsys.readouterr().out


def test_a_built_in_run_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "run",
        "--models",
        "model3",
        "--design",
        "presets",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--dataset",
        "digits",
    ]
    assert run_command_line([*arguments, "--dataset", "digits", *QUIET]) == 0
    [path] = Path("results/digits/runs").glob("*.json")
    capsys.readouterr()
    assert run_command_line(["rerun", path.stem, *QUIET]) == 0
    assert "1 recorded, 0 to train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: Path("small.py").unlink(), "is of the study small.py, which is not there: go where it was run"),
        (lambda path: path.write_text("{}"), "is no run as `bench run` writes it: it lacks 'rates'"),
        (lambda path: path.write_text("[1"), "is no run as `bench run` writes it: "),
        (lambda path: path.write_bytes(b"\xff"), "is no run as `bench run` writes it: "),
        (lambda path: path.write_text("[" * 100_000), "is no run as `bench run` writes it: "),
        (lambda path: path.write_text(path.read_text().replace('"epochs"', '"epoch"')), "its protocol has epoch"),
        (
            lambda path: path.write_text(path.read_text().replace('"epochs": 1', '"epochs": "x"')),
            "its protocol makes no sense",
        ),
        (
            lambda path: path.write_text(path.read_text().replace('"tiny"', '"huge"')),
            "no architecture is called 'huge'",
        ),
        (
            lambda _: Path("small.py").write_text(STUDY.replace("(4, 6)", "(4, 8)")),
            "width has no level 6: it was one when the run was made",
        ),
        (
            lambda _: Path("small.py").write_text(STUDY.replace("width", "breadth")),
            "the study no longer has a factor 'width'",
        ),
        (lambda path: path.unlink(), "can't be read: No such file or directory"),
    ],
)
def test_a_run_that_cannot_be_repeated_is_refused_in_one_line(
    change: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_once(capsys)
    before = Path("results/small/digits/trials.csv").read_bytes()
    change(path)
    assert run_command_line(["rerun", str(path), *QUIET]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("bench: ")
    assert told.count("\n") == 1
    assert Path("results/small/digits/trials.csv").read_bytes() == before


def test_a_name_of_no_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    path = run_once(capsys)
    assert run_command_line(["rerun", path.stem[:-1] + "?"]) == 2
    assert f"did you mean {path.stem}?" in capsys.readouterr().err
    assert run_command_line(["rerun", "r", "--results", "nowhere"]) == 2
    assert capsys.readouterr().err == "bench: no run under nowhere is called 'r': no run is recorded there\n"


def test_with_which_models_rates_were_chosen_stands_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "model1", "--design", "presets", "--seeds", "1", "--epochs", "1", "--dataset", "digits"]
    assert run_command_line(["run", *options, "--optimizer", "sgd", *QUIET]) == 0
    capsys.readouterr()
    [path] = Path("results/digits/runs").glob("*.json")
    assert read_run(path).rates.chosen_with == built_in().rates.chosen_with != ()
    said = json.loads(path.read_text())
    del said["rates"]["chosen_with"]  # as files of before
    path.write_text(json.dumps(said))
    assert read_run(path).rates.chosen_with == ()
