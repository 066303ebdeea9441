"""The studies under examples/ and the file that `bench new` writes: they hold, and they train."""

import runpy
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.studies import bench

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own, as a user has it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} <= {"pictures", "results"}


def _pictures(folder: Path) -> None:
    """Three classes of small pictures of several sizes, each with a colour of its own."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 6)):
        for channel, name in enumerate(("aster", "dahlia", "iris")):
            place = folder / "pictures" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 80, (40 + number, 36, 3))
                pixels[..., channel] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


def _copied(name: str, folder: Path) -> str:
    shutil.copy(EXAMPLES / name, folder)
    return name


def _tries(*arguments: object) -> str:
    ran = bench("try", *arguments, "--workers", 1)
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "FAIL" not in ran.out
    assert "not tried" not in ran.out
    return ran.out


def _runs(*arguments: object) -> pd.DataFrame:
    ran = bench("run", *arguments, "--workers", 0, "--no-report", "--no-timing")
    assert ran.code == 0, ran.err
    [file] = Path("results").rglob("trials.csv")
    rows = pd.read_csv(file)
    assert set(rows["status"]) == {"done"}
    return rows


def test_my_pictures(folder: Path) -> None:
    _pictures(folder)
    said = _tries(_copied("flowers.py", folder), "--batch-size", 8, "--seconds", 300)
    assert "3x32x32, 3 classes" in said
    rows = _runs("flowers.py", "--batch-size", 8, "--epochs", 1, "--seeds", 1, "--factors", "width,dropout")
    assert sorted(rows["width"]) == [8, 16, 16, 32]
    assert sorted(rows["dropout"]) == [0.0, 0.0, 0.0, 0.1]


def test_loss_optimizer_and_batches(folder: Path) -> None:
    said = _tries(_copied("smoothing.py", folder), "--seconds", 300)
    assert "every level of 8 factors changes something" in said
    names = "label_smoothing,optimizer,mixup"
    rows = _runs("smoothing.py", "--batch-size", 128, "--epochs", 1, "--seeds", 1, "--factors", names)
    assert len(rows) == 5
    assert sorted(rows["lr"]) == [0.005, 0.03, 0.03, 0.03, 0.03]  # AdamW at its rate, and its sibling at the preset's


def test_teachers_products_and_an_optimizer_of_ones_own(folder: Path) -> None:
    _copied("record/record.py", folder)
    _tries("record.py", "--dataset", "digits", "--seconds", 300)
    short = ("--batch-size", 128, "--epochs", 1, "--seeds", 1)
    rows = _runs("record.py", "--dataset", "digits", *short, "--factors", "width,distillation,optimizer,expansion")
    assert dict(zip(rows["distillation"], rows["teacher_seconds"].notna(), strict=True)) == {"off": False, "on": True}
    assert dict(zip(rows["width"], rows["parameters"], strict=True)) == {1: 7_719, 2: 29_072}
    assert ((rows["training_parameters"] > 60_000) == (rows["expansion"] == 4)).all()
    assert rows["training_parameters"].notna().sum() == 1
    assert sorted(rows["lr"][rows["factor_optimizer"] == "muon"]) == [0.02, 0.1]  # its own, and the preset's


def test_a_step_of_muon_is_orthogonal() -> None:
    orthogonal = runpy.run_path(str(EXAMPLES / "record" / "record.py"))["orthogonal"]
    generator = torch.Generator().manual_seed(0)
    for rows, columns in ((8, 72), (21, 8), (10, 10)):
        made = orthogonal(torch.randn(rows, columns, generator=generator))
        scales = torch.linalg.svdvals(made) / max(1, rows / columns) ** 0.5
        assert ((scales > 0.6) & (scales < 1.3)).all()  # as near as five steps of this iteration come


TEXTURES = EXAMPLES / "textures"


def test_textures_have_the_images_of_their_rows(folder: Path) -> None:
    runpy.run_path(str(TEXTURES / "pictures.py"))
    files = [path.relative_to(folder / "pictures").parts[:2] for path in (folder / "pictures").rglob("*.png")]
    classes = ("brick", "grass", "gravel")
    each = {("train", name): 704 for name in classes} | {("test", name): 320 for name in classes}
    assert Counter(files) == each
    for name in ("textures", "models"):
        shutil.copy(TEXTURES / f"{name}.py", folder)
        _runs(f"{name}.py", "--epochs", 1, "--batch-size", 256, "--seeds", 1, "--design", "presets")
        of = Path("results", name, "pictures", "trials.csv")
        assert set(pd.read_csv(of)["data"]) == set(pd.read_csv(TEXTURES / of)["data"])
        shutil.rmtree("results")


@pytest.mark.parametrize(
    ("folder", "name", "dataset"),
    [
        ("textures", "textures", "pictures"),
        ("textures", "models", "pictures"),
        ("transfer", "transfer", "mnist"),
        ("record", "record", "mnist"),
    ],
)
def test_reports_of_examples_are_those_of_their_rows(
    folder: str, name: str, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / folder / f"{name}.py", tmp_path)
    shutil.copytree(EXAMPLES / folder / "results" / name, tmp_path / "results" / name)
    ran = bench("report", f"{name}.py", "--dataset", dataset)
    assert (ran.code, ran.err) == (0, "")
    kept, made = (
        {path.name: path.read_bytes() for path in (reports / "README.md", *reports.glob("tables/*"))}
        for reports in (root / "reports" / name / dataset for root in (EXAMPLES / folder, tmp_path))
    )
    assert made == kept


def test_transfer_is_what_the_readme_says_of_it() -> None:
    table = pd.read_csv(EXAMPLES / "transfer" / "reports" / "transfer" / "mnist" / "tables" / "transfer.csv")
    pretrained = table[table["beginning"] == "pretraining on digits"].set_index("images")
    assert pretrained["verdict"][[100, 1_000, 3_000]].tolist() == ["helps", "hurts", "hurts"]
    assert (pretrained["over_updates_high"][[100, 300, 1_000, 3_000]] < 0).all()


def test_the_record_is_what_the_readme_says_of_it() -> None:
    tables = EXAMPLES / "record" / "reports" / "record" / "mnist" / "tables"
    held_out, effects = (pd.read_csv(tables / f"{name}.csv") for name in ("held_out", "effects"))
    compared = held_out[held_out["verdict"].notna()]
    assert set(compared["cell"]) == {"student distillation=on", "student optimizer=muon"}
    assert set(compared["verdict"]) <= {"inconclusive", "equivalent", "hurts"}
    assert set(effects["verdict"]) <= {"inconclusive", "equivalent", "hurts"}


@pytest.mark.slow
def test_a_network_from_elsewhere_on_arrays(folder: Path) -> None:
    text = (EXAMPLES / "resnet18.py").read_text(encoding="utf-8")
    assert "each=20" in text
    (folder / "resnet18.py").write_text(text.replace("each=20", "each=2").replace("each=5", "each=1"), encoding="utf-8")
    assert "3x32x32, 100 classes" in _tries("resnet18.py", "--seconds", 300)
    rows = _runs("resnet18.py", "--epochs", 1, "--seeds", 1)
    assert list(rows["classes"]) == [100]
    assert list(rows["parameters"]) == [11_227_812]


@pytest.mark.usefixtures("folder")
def test_the_file_to_start_from() -> None:
    made = bench("new", "first.py")
    assert (made.code, made.err) == (0, "")
    text = Path("first.py").read_text(encoding="utf-8")
    assert "bench try first.py" in text
    assert "my_study" not in text
    said = _tries("first.py", "--seconds", 300)
    assert "9 cells (12 counted by rate) x 5 seeds = 60 trials" in said
    assert "every level of 5 factors changes something" in said
    rows = _runs("first.py", "--seeds", 1, "--design", "presets")
    assert list(rows["test_accuracy"] > 0.9) == [True]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("there.py", "there.py is there already, and stays as it is"),
        ("no/such/folder.py", "there is no folder no/such: make it first"),
        ("study.txt", "a study is a Python file like my_study.py, not 'study.txt'"),
        (".py", "a study is a Python file"),
        ("", "a study is a Python file"),
        ("folder.py", "is there already"),
        ("a\nb.py", "text on one line"),
        ("x" * 300 + ".py", "can't be written: File name too long"),
    ],
)
def test_new_writes_nowhere_else(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.py").write_text("mine", encoding="utf-8")
    Path("folder.py").mkdir()
    ran = bench("new", name)
    assert ran.code in {1, 2}
    assert len(ran.lines) == 1
    assert said in ran.err
    assert Path("there.py").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder.py", "there.py"]
