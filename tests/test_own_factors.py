"""Factors of a study's own that are called as the harness's own of the training, `augmentation` and `scheduler`."""

import re
from pathlib import Path

import pandas as pd
import pytest

from bench.record.joined import join_rows
from bench.record.store import Store
from tests.studies import Ran, bench, edited, write

OWN = edited(
    (
        "def smoothed(recipe, level):\n    return recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))\n",
        "def cosine(recipe, level):\n"
        "    return recipe.with_schedule(lambda optimizer, rate, moves:"
        " torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, moves))\n\n\n"
        "def flipped(recipe, level):\n"
        "    return recipe.with_batch(lambda images, labels, generator: (images.flip(3), labels))\n",
    ),
    (
        'Factor("width", levels=(4, 8)),\n        Factor("label_smoothing", levels=(0.0, 0.1), change=smoothed),',
        'Factor("scheduler", levels=("constant", "cosine"), change=cosine),\n'
        '        Factor("augmentation", levels=("none", "flip"), change=flipped),',
    ),
    ("epochs=1", "epochs=3"),
    ("seeds=1", "seeds=2"),
)


def with_factor(text: str, *, keyword: str = "") -> str:
    """The good study with another second factor, and another keyword of its builder."""
    source = edited(('Factor("label_smoothing", levels=(0.0, 0.1), change=smoothed)', text))
    return edited(("width=4,", f"width=4, {keyword},"), source=source) if keyword else source


def run(tmp_path: Path, command: str, text: str, *options: str) -> Ran:
    tmp_path.mkdir(exist_ok=True)
    file = write(tmp_path, text)
    return bench(command, file, "--results", tmp_path / "results", *options)


def rows(tmp_path: Path) -> pd.DataFrame:
    return join_rows([Store(tmp_path / "results" / "mine" / "digits")]).trials


def epochs(tmp_path: Path) -> pd.DataFrame:
    [frame] = join_rows([Store(tmp_path / "results" / "mine" / "digits")]).epochs()
    return frame


def test_they_train_as_their_changes_say_and_are_reported(tmp_path: Path) -> None:
    file = write(tmp_path, OWN)
    places = ["--results", tmp_path / "results", "--reports", tmp_path / "reports"]
    assert "constant, cosine" in bench("list", file).out
    ran = bench("run", file, "--workers", "0", "--no-timing", "--no-report", *places)
    assert ran.code == 0, ran.err
    trained = rows(tmp_path)
    assert len(trained) == 8  # the preset, batch_norm off, cosine, flip; two seeds
    assert set(trained["status"]) == {"done"}
    assert trained["test_loss"].nunique() == 8
    curves = epochs(tmp_path)
    rates = {
        level: [round(float(lr), 6) for lr in own.drop_duplicates("epoch")["lr"]]
        for level, own in curves.groupby("scheduler")
    }
    assert rates["constant"] == [0.01, 0.01, 0.01]
    assert rates["cosine"] == pytest.approx([0.01, 0.0075, 0.0025], abs=1e-5)
    status = bench("status", file, "--why", *places[:2])
    assert re.findall(r"^(.*?) +2 +0 +0 +0 +0$", status.out, re.MULTILINE) == [
        "tiny",
        "tiny batch_norm=off",
        "tiny scheduler=cosine",
        "tiny augmentation=flip",
    ]
    assert bench("report", file, *places).code == 0
    page = (tmp_path / "reports" / "mine" / "digits" / "README.md").read_text()
    assert "one-cycle" not in page
    assert "cheduler cosine" in page
    assert "ugmentation flip" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("try", ["--seconds", "5"], "every level of 3 factors changes something"),
        ("speed", ["--rounds", "2", "--workers", "1"], r"tiny .* times"),
        ("select", ["rates", "--epochs", "1", "--workers", "0"], "rates="),
        ("show", ["tiny"], "flatten"),
        ("train", ["--model", "tiny", "--level", "augmentation=flip", "--level", "scheduler=cosine"], "test acc"),
    ],
)
def test_they_pass_through_the_other_commands(tmp_path: Path, command: str, options: list[str], said: str) -> None:
    places = [] if command in ("try", "show") else ["--results", str(tmp_path / "results")]
    ran = bench(command, write(tmp_path, OWN), *options, *places)
    assert ran.code == 0, ran.err
    assert re.search(said, ran.out, re.IGNORECASE)


def test_under_a_change_of_its_own_nothing_of_the_harness_happens(tmp_path: Path) -> None:
    """At its `off`, and at levels that the harness has under the same name."""
    plain = with_factor('Factor("smooth", levels=(0.0, 0.1), change=smoothed)')
    named = with_factor(
        'Factor("augmentation", levels=("plain", "advanced"), change=lambda recipe, level: smoothed(recipe, 0.1))'
    )
    for folder, text in (("plain", plain), ("named", named)):
        ran = run(tmp_path / folder, "run", text, "--factors", text.split('Factor("')[2].split('"')[0],
                  "--workers", "0", "--no-timing", "--no-report")  # fmt: skip
        assert ran.code == 0, ran.err
    before, after = rows(tmp_path / "plain"), rows(tmp_path / "named")
    assert before["test_loss"].tolist() == after["test_loss"].tolist()
    assert before["training"].tolist() == after["training"].tolist()
    assert before["trial"].iloc[0] == after["trial"].iloc[0]


def test_a_factor_of_the_network_may_be_called_so(tmp_path: Path) -> None:
    text = with_factor('Factor("scheduler", levels=(False, True))', keyword="scheduler=False")
    text = edited(("nn.ReLU(),", "nn.Tanh() if scheduler else nn.ReLU(),"), source=text)
    ran = run(tmp_path, "run", text, "--factors", "scheduler", "--workers", "0", "--no-timing",
              "--reports", str(tmp_path / "reports"))  # fmt: skip
    assert ran.code == 0, ran.err
    assert rows(tmp_path)["network"].nunique() == 2
    assert rows(tmp_path)["training"].nunique() == 1


def test_the_harness_s_own_may_have_fewer_levels(tmp_path: Path) -> None:
    text = with_factor('Factor("augmentation", levels=("none", "advanced"))')
    ran = run(tmp_path, "run", text, "--factors", "augmentation", "--workers", "0", "--no-timing", "--no-report")
    assert ran.code == 0, ran.err
    assert rows(tmp_path)["augmentation"].tolist() == ["none", "advanced"]
    assert rows(tmp_path)["test_loss"].nunique() == 2


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (
            'Factor("scheduler", levels=("step", "linear"))',
            "factor scheduler: the harness has no level 'linear' of it, it has step, cosine, onecycle: say what yours "
            "trains with by change=, a function (recipe, level) that returns a recipe",
        ),
        (
            'Factor("augmentation", levels=("basic", "flip"), change=smoothed)',
            "factor augmentation: its off is called 'basic', as a level of the harness's, but under a change of your "
            "own off trains as 'none' does: call it so, or otherwise",
        ),
        (
            'Factor("blur", levels=(0, 1), changes_network=False)',
            "factor blur changes nothing: it has no change=, a function (recipe, level) that returns a recipe, and no "
            "architecture has a keyword of this name",
        ),
    ],
)
def test_levels_that_nobody_handles_are_refused(tmp_path: Path, factor: str, said: str) -> None:
    refused = bench("list", write(tmp_path, with_factor(factor)))
    assert refused.code == 2
    assert len(refused.lines) == 1
    assert said in refused.err


def test_there_is_no_augmentation_to_select_where_it_is_the_studys_own(tmp_path: Path) -> None:
    refused = run(tmp_path, "select", OWN, "augmentation", "--workers", "0")
    assert refused.code == 2
    assert "`bench select augmentation` chooses the harness's basic one, and this study has its own" in refused.err
    assert len(refused.lines) == 1
