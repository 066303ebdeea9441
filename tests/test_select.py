"""`bench select rates`: every model at every candidate, and more candidates until the best one lies inside."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import nn

from bench.cli import run_command_line
from bench.errors import UsageError
from bench.plan.architecture import Architecture
from bench.plan.catalogue import Rates, catalogue, using
from bench.plan.cells import preset_cell
from bench.plan.levels import Level
from bench.plan.protocol import Protocol
from bench.plan.selection import MOST_WIDENINGS, Candidates, first_candidates, rate_trials, widened
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.report.selection import Apart, apart, as_written, at_edges, rate_table
from bench.run.runner import Run, record
from bench.session import selecting
from bench.session.request import Place
from bench.session.selecting import select_rates
from bench.study import Study
from tests.test_reuse import made_up

MODELS = catalogue().models
PROTOCOL = Protocol("digits", epochs=1, val=74)
PLAIN: tuple[Level, ...] = ("step", False)
NORMED: tuple[Level, ...] = ("step", True)

Best = Callable[[Trial], float]


def combination(trial: Trial) -> tuple[Any, ...]:
    return trial.cell.levels["scheduler"], trial.cell.levels["batch_norm"]


@pytest.fixture
def selected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Best], pd.DataFrame]:
    """Selects on made-up trials, which lose as they get away from the best rate; the rows."""

    def select(best: Best) -> pd.DataFrame:
        def train(run: Run, _place: Place, timing: bool) -> int:
            assert not timing
            for trial in run.missing():
                accuracy = 0.95 - 0.2 * abs(math.log10(trial.lr / best(trial))) + 0.0001 * trial.seed
                record(run, made_up(trial, run.data, accuracy))
            return 0

        monkeypatch.setattr(selecting, "train_and_time", train)
        assert select_rates(MODELS, range(3), PROTOCOL, Place(), tmp_path, tmp_path) == 0
        return Store(tmp_path / "digits", "selection.csv").trials()

    return select


def tried(rows: pd.DataFrame, levels: tuple[Any, ...]) -> list[float]:
    scheduler, batch_norm = levels
    own = rows[(rows["scheduler"] == scheduler) & (rows["batch_norm"] == ("on" if batch_norm else "off"))]
    return sorted(own["lr"].unique())


def test_candidates_grow_until_the_best_is_inside(
    selected: Callable[[Best], pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = selected(lambda trial: {PLAIN: 0.3, NORMED: 0.003}.get(combination(trial), 0.03))
    assert tried(rows, PLAIN) == [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    assert tried(rows, NORMED) == [0.001, 0.003, 0.01, 0.03, 0.1]
    assert tried(rows, ("onecycle", True)) == [0.01, 0.03, 0.1, 0.3, 1.0]
    assert tried(rows, ("cosine", True)) == list(first_candidates(PROTOCOL)["cosine", True])
    table = rate_table(rows, classes=10)
    for (scheduler, batch_norm), lines in table.groupby(["scheduler", "batch_norm"]):
        [first] = lines.loc[lines["first"], "lr"]
        assert lines["lr"].min() < first < lines["lr"].max(), (scheduler, batch_norm)
    out = capsys.readouterr().out
    assert "The best with scheduler=step batch_norm=off is the highest that was tried, 0.03." in out
    assert "that was tried" not in out[out.index("val accuracy") :]


def test_every_combination_is_trained_by_the_same_models_and_seeds(
    selected: Callable[[Best], pd.DataFrame],
) -> None:
    rows = selected(lambda trial: 0.3 if trial.cell.architecture == "model3" else 0.03)
    everyone = {(name, seed) for name in MODELS for seed in range(3)}
    for candidate, own in rows.groupby(["scheduler", "batch_norm", "lr"]):
        assert len(own) == len(everyone), candidate
        assert set(zip(own["architecture"], own["seed"], strict=True)) == everyone, candidate


def test_a_best_that_runs_away_is_followed_so_far_and_said(
    selected: Callable[[Best], pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = selected(lambda trial: 1e-5 if combination(trial) == PLAIN else 0.03)
    assert tried(rows, PLAIN) == [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03]
    out = capsys.readouterr().out
    said = "The best with scheduler=step batch_norm=off is the lowest that was tried, 0.0001."
    assert said in out[out.index("val accuracy") :]


def test_a_model_that_needs_another_rate_is_named(
    selected: Callable[[Best], pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its best is at the edge at first, and over all it isn't."""

    def best(trial: Trial) -> float:
        return 0.3 if trial.cell.architecture == "model3" and combination(trial) == PLAIN else 0.01

    rows = selected(best)
    assert tried(rows, PLAIN) == [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    [other] = apart(rows, classes=10)
    assert (other.architecture, other.levels, other.rate, other.pooled_rate) == ("model3", PLAIN, 0.3, 0.01)
    said = "model3 with scheduler=step batch_norm=off is better at 0.3 than at 0.01 by more than the noise: "
    assert said in capsys.readouterr().out
    table = rate_table(rows, classes=10)
    text = as_written(table, [other], MODELS)
    assert "('model3', 'step', False): 0.3" in text
    assert "('model1', 'step', False): 0.01" in text
    assert text.endswith("rates_by=['architecture', 'scheduler', 'batch_norm']")
    assert "architecture" not in as_written(table, [], MODELS)


def test_a_rate_at_which_a_trial_collapsed_is_not_tied_with_one_at_which_none_did() -> None:
    """The collapse makes the spread of pairs so wide that nothing else would tell them apart."""
    rows = pd.DataFrame(
        [
            {"lr": lr, "seed": seed, "val_accuracy": 0.1 if (lr, seed) == (0.3, 1) else 0.99 + 0.001 * seed}
            for lr in (0.1, 0.3)
            for seed in range(3)
        ]
    ).assign(architecture="model1", scheduler="step", batch_norm="off", augmentation="basic", val=5000, status="done")
    assert rate_table(rows, classes=10)["verdict"].tolist() == ["chosen", ""]
    rows.loc[rows["seed"] == 1, "val_accuracy"] = 0.99
    assert rate_table(rows, classes=10)["verdict"].tolist() == ["tied", "tied"]


def test_nothing_is_widened_where_no_rate_is_better_than_chance() -> None:
    candidates: Candidates = {PLAIN: (0.01, 0.03)}
    table = pd.DataFrame(
        {"scheduler": "step", "batch_norm": "off", "lr": [0.01, 0.03], "accuracy": [0.1, 0.11]}
        | {"first": [False, True], "verdict": "chance"}
    )
    assert at_edges(table, [], candidates) == ([], [])
    assert at_edges(table.assign(verdict="tied"), [], candidates) == ([], [PLAIN])
    own = Apart("model3", PLAIN, 0.01, 0.5, 0.03, 0.4)
    assert at_edges(table.assign(verdict="tied"), [own], candidates) == ([PLAIN], [PLAIN])
    # The lowest of tied ones is taken, and the mean still rises.
    rising = table.assign(verdict="tied", first=[True, False])
    assert at_edges(rising, [], candidates) == ([PLAIN], [PLAIN])


@pytest.mark.parametrize(
    ("rate", "below", "above"), [(0.03, 0.01, 0.1), (0.1, 0.03, 0.3), (0.05, 0.03, 0.1), (1.0, 0.3, 3.0)]
)
def test_the_next_rate_is_well_away(rate: float, below: float, above: float) -> None:
    with using(dataclasses.replace(catalogue(), rates=Rates((), {(): rate}, {(): (rate,)}))):
        first = candidates = first_candidates(Protocol("mnist"))
        assert widened(candidates, first, [()], [()]) == {(): (below, rate, above)}
        for _ in range(9):
            candidates = widened(candidates, first, [()], [])
        assert len(candidates[()]) == 1 + MOST_WIDENINGS


def test_rates_may_go_by_architecture() -> None:
    rate: dict[tuple[Level, ...], float] = {
        (name, on): 0.01 * (number + 1 + len(MODELS) * on) for number, name in enumerate(MODELS) for on in (False, True)
    }
    rates = Rates(("architecture", "batch_norm"), rate, {key: (value,) for key, value in rate.items()})
    with using(dataclasses.replace(catalogue(), rates=rates, rates_on={})):
        catalogue().check()
        for name in MODELS:
            cell = preset_cell(name)
            assert Trial(cell, 0, PROTOCOL).lr == rate[name, cell.levels["batch_norm"]]
        # Every model is trained at what any of them is to try.
        assert first_candidates(PROTOCOL) == {
            (on,): tuple(sorted(value for (_, level), value in rate.items() if level == on)) for on in (False, True)
        }
        assert len(list(rate_trials(MODELS, range(2), PROTOCOL, first_candidates(PROTOCOL)))) == 2 * len(MODELS) * len(
            rate
        )


def _tiny(shape: tuple[int, int, int], classes: int, *, batch_norm: bool = True) -> nn.Module:
    return nn.Linear(shape[0], classes + batch_norm)


def test_a_study_says_rates_by_architecture() -> None:
    given = {("small", True): 0.1, ("small", False): 0.2, ("large", True): 0.3, ("large", False): 0.4}
    both = [Architecture(_tiny, name=name) for name in ("small", "large")]
    study = Study(both, rates=given, rates_by=["architecture", "batch_norm"], data="digits")
    with using(study.catalogue("study")):
        assert {name: Trial(preset_cell(name), 0, PROTOCOL).lr for name in ("small", "large")} == {
            "small": 0.1,
            "large": 0.3,
        }
    wrong = Study(both, rates={("smal", True): 0.1}, rates_by=["architecture", "batch_norm"], data="digits")
    with pytest.raises(UsageError, match="isn't one level of each of architecture, batch_norm"):
        wrong.catalogue("study")


def test_few_seeds_are_answered_with_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "model3", "--dataset", "digits", "--results", str(tmp_path)]
    few = "bench: with fewer than 3 seeds luck chooses as well"
    none = "bench: none of model3 has the basic augmentation in its preset"
    for seeds, said in (("2", [few, none]), ("3", [none]), ("0,5-6", [none])):
        assert run_command_line(["select", "augmentation", *options, "--seeds", seeds]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line[: len(start)] for line, start in zip(lines, said, strict=True)] == said
