"""Studies from Python: a DataFrame, a report, functions that stand in a script, a prompt or a string."""

import dataclasses
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch.nn.functional as F
from torch import nn

import bench.study
from bench.errors import BenchError, UsageError
from bench.plan.catalogue import catalogue
from bench.record.store import Store
from bench.run.progress import Progress
from bench.study import Factor, Study
from tests.test_record import ROOT


def tiny(shape: tuple[int, int, int], classes: int, *, width: int = 4, batch_norm: bool = False) -> nn.Module:
    norm = [nn.BatchNorm2d(width)] if batch_norm else []
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, classes)]
    return nn.Sequential(nn.Conv2d(shape[0], width, 3, 2), *norm, nn.ReLU(), *head)


STUDY = Study(
    architectures=[tiny],
    factors=[
        Factor("width", (4, 6)),
        Factor("smooth", (0.0, 0.1), change=lambda r, x: r.with_loss(partial(F.cross_entropy, label_smoothing=x))),
    ],
    data="digits",
    epochs=1,
)


def test_rows_are_a_data_frame_with_a_column_a_factor(tmp_path: Path) -> None:
    def once(**options: Any) -> pd.DataFrame:
        return bench.study.run(STUDY, workers=0, timing=False, results=tmp_path, **options)

    rows = once(seeds=2, factors=["batch_norm", "width"])
    assert rows["cell"].tolist() == ["tiny", *["tiny batch_norm=on"] * 2, "tiny width=6"] * 2
    assert (rows["lr"] == rows["selected_lr"]).tolist() == [True, True, False, True] * 2
    assert rows["is_preset"].tolist() == [True, False, False, False] * 2
    assert rows["batch_norm"].tolist() == [False, True, True, False] * 2
    assert {name: rows[name].dtype for name in ("batch_norm", "is_preset", "width", "smooth", "classes")} == {
        "batch_norm": np.dtype(bool),
        "is_preset": np.dtype(bool),
        "width": np.dtype(int),
        "smooth": np.dtype(float),
        "classes": np.dtype(int),
    }
    assert rows["study"].unique().tolist() == ["test_python"]
    assert (tmp_path / "test_python" / "digits" / "trials.csv").exists()
    pd.testing.assert_frame_equal(once(seeds=2, factors="batch_norm,width"), rows)
    assert once(seeds=[1], design="presets")["seed"].tolist() == [1]
    assert once(seeds="0-1", models=["tiny"], design="presets")["seed"].tolist() == [0, 1]
    assert len(once(seeds=1, design="presets", epochs=2, batch_size=32, lr=0.1, precision="fp32")) == 1
    assert catalogue().name == ""

    page = bench.study.report(STUDY, results=tmp_path, reports=tmp_path / "reports")
    assert page == tmp_path / "reports" / "test_python" / "digits" / "index.html"
    assert "tiny" in page.read_text()


def test_seeds_go_where_they_decide(tmp_path: Path) -> None:
    """The rows are those of the run, whose looks stand beside them; the same again trains nothing."""

    def once() -> pd.DataFrame:
        where = {"results": tmp_path, "workers": 0, "timing": False}
        return bench.study.run(STUDY, until="settled", seeds=10, margin=0.5, factors=["width"], **where)  # type: ignore[arg-type]

    rows = once()
    assert rows["cell"].value_counts().to_dict() == {"tiny": 10, "tiny width=6": 10}
    looks = Store(tmp_path / "test_python" / "digits").looks()
    assert set(looks["cell"]) == {"tiny", "tiny width=6"}
    assert looks["look"].max() > 1
    pd.testing.assert_frame_equal(once(), rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "--seeds is 1 to 10,000, not 0"),
        ({"models": ["tini"]}, "no architecture is called 'tini': did you mean tiny?"),
        ({"factors": "wide"}, "no factor is called 'wide'"),
        ({"design": "all"}, "no design is called 'all'"),
        ({"dataset": "mnist"}, "no data set is called 'mnist'"),
        ({"workers": -1}, "--workers is 0 to"),
    ],
)
def test_what_makes_no_sense_is_an_error_of_one_line(options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bench.study.run(STUDY, results=tmp_path, **options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert catalogue().name == ""


def test_without_rows_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"has no rows: make some with bench\.study\.run"):
        bench.study.report(STUDY, results=tmp_path)
    with pytest.raises(UsageError, match="the study is Study"):
        bench.study.run("my_study.py", results=tmp_path)  # type: ignore[arg-type]


def test_a_study_is_called_as_it_says_or_as_its_file() -> None:
    assert STUDY.here().name == "test_python"
    assert Study([tiny], name="my study").here().name == "my_study"
    assert dataclasses.replace(STUDY, epochs=2).here().name == "test_python"
    names: dict[str, Any] = {"Study": Study, "tiny": tiny, "__name__": "nowhere"}
    exec("made = Study([tiny])", names)
    assert names["made"].here().name == "study"


def test_a_study_that_travels_leaves_its_file_behind() -> None:
    assert pickle.loads(pickle.dumps(Study([tiny])))._names == {}


HELPER = """from torch import nn


def head(width, classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, classes))
"""
SCRIPT = '''"""Small."""
from torch import nn

import bench.study
import helper
from bench.study import Factor, Study

print("once")


def tiny(shape, classes, *, width=4):
    return nn.Sequential(nn.Conv2d(shape[0], width, 3, 2), nn.ReLU(), helper.head(width, classes))


scale = 0.5
STUDY = Study([tiny], [Factor("width", (4, 5)),
    Factor("half", (False, True), change=lambda recipe, _: recipe.with_loss(
        lambda logits, labels: scale * nn.functional.cross_entropy(logits, labels)))], data="digits", epochs=1)
rows = bench.study.run(STUDY, seeds=1, factors=["width", "half"], workers=2, timing=False)
print(rows[["cell", "status", "error", "study"]].to_csv(index=False))
'''


@pytest.mark.parametrize("way", ["script", pytest.param("-c", marks=pytest.mark.slow)])
def test_functions_of_main_reach_workers_and_a_script_runs_once(way: str, tmp_path: Path) -> None:
    """There is no `if __name__ == "__main__":` in it."""
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "small.py").write_text(SCRIPT)
    arguments = ["small.py"] if way == "script" else ["-c", SCRIPT]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    name = "small" if way == "script" else "study"
    assert done.stdout.splitlines() == [
        "once",
        "cell,status,error,study",
        *(f"{cell},done,,{name}" for cell in ("tiny", "tiny width=5", "tiny half=on")),
        "",
    ], done.stderr
    assert "3/3 " in done.stderr


def test_a_notebook_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Progress([], {}, 1)
    assert "0/0 starting workers" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    Progress([], {}, 1).close()
    assert "0/0 |" in capsys.readouterr().err
