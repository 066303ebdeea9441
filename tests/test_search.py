"""`bench search`: what it asks for, that it is a function of rows, its budget, its winner, and what a report says."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from architectures.layers import read_layers, written_layers
from architectures.model7 import LAYERS, model7
from bench.errors import InterruptedRunError, UsageError
from bench.plan.budget import Budget
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import toggles
from bench.plan.halving import AT_RANDOM, BRACKET, SEARCHED, Arm, Halving, rung_epochs
from bench.plan.protocol import Protocol
from bench.plan.search import Search
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts
from bench.report.sections import search as section
from bench.report.sections.search.results import searches
from bench.report.show.table import Table
from bench.run.serial import Serial
from bench.run.worker import Trained
from bench.session import batches, searching, training
from bench.session.recorded import read_run
from bench.session.request import Place
from bench.studies.load import load_study
from bench.studies.mnist import MODEL3, MODEL4, STUDY
from bench.studies.space import parameters, suggest, written
from bench.train.data import Data
from bench.train.outcome import Epoch, Outcome
from tests.studies import bench, edited, untouched, write
from tests.test_charts import cut_texts

EXAMPLE = Path(__file__).parents[1] / "examples" / "search.py"
HELD_OUT = Protocol("digits", epochs=9, batch_size=16, val=149)
Train = Callable[[Sequence[Trial], Data], list[Trained]]


def quality(cell: Cell) -> float:
    """Wider is better, and more so in the first layers."""
    widths = list(map(int, str(cell.levels["widths"]).split()))
    return 0.8 + 0.1 * sum(widths) / 64 + 0.002 * widths[0] + 0.01 * (cell.levels["activation"] == "gelu")


def accuracy(trial: Trial) -> float:
    noise = np.random.default_rng([trial.seed, *trial.cell.label.encode()]).normal(0, 0.002)
    return float(np.clip(quality(trial.cell) - 0.2 / trial.protocol.epochs + noise, 0, 1))


def made_up(trial: Trial, data: Data) -> Trained:
    epoch = Epoch(1, 0.5, 1.0, accuracy(trial), 1.0, trial.lr, 0.1)
    labels = tuple(data.held_out.labels.tolist())
    return Trained(trial, Outcome("done", (epoch,), labels, 1.0), None, "2026-01-01T00:00:00Z", None)


def train(stack: Sequence[Trial], data: Data) -> list[Trained]:
    return [made_up(trial, data) for trial in stack]


@pytest.fixture
def study() -> Iterator[Search]:
    """The example's."""
    with untouched(), using(load_study(str(EXAMPLE))):
        found = catalogue().search
        assert found is not None
        yield found


def small(cell: Cell) -> int:
    return sum(map(int, str(cell.levels["widths"]).split()))


def asked(search: Search, results: Mapping[Trial, float | None], limit: int = 60) -> tuple[Arm, Arm]:
    return Halving(search, HELD_OUT, limit, small).look(results)


def grown(search: Search, looks: int) -> dict[Trial, float | None]:
    """The results after so many looks, at each of which everything that was asked for is trained."""
    results: dict[Trial, float | None] = {}
    for _ in range(looks):
        for trial in Halving(search, HELD_OUT, 60, small).propose(results):
            results[trial] = accuracy(trial)
    return results


def test_rungs_are_a_third_of_the_next() -> None:
    assert [rung_epochs(epochs) for epochs in (15, 9, 4, 1)] == [(2, 5, 15), (1, 3, 9), (1, 4), (1,)]


def test_a_bracket_is_halved_and_random_search_costs_as_much(study: Search) -> None:
    searched, random = asked(study, {})
    assert [trial.protocol.epochs for trial in searched.asked] == [1] * BRACKET
    assert [trial.protocol.epochs for trial in random.asked] == [9, 9]
    results = grown(study, 3)
    searched, random = asked(study, results)
    by_rung = [[t for t in searched.asked[:26] if t.protocol.epochs == epochs] for epochs in (1, 3, 9)]
    assert list(map(len, by_rung)) == [18, 6, 2]
    for lower, upper in pairwise(by_rung):
        best = sorted(lower, key=lambda trial: -accuracy(trial))[: len(upper)]
        assert {trial.cell for trial in upper} == {trial.cell for trial in best}
    assert len(searched.asked) == 26 + BRACKET  # the next one has begun
    assert searched.epochs <= random.epochs < searched.epochs + 9
    assert all(trial.seed == 0 and trial.protocol.val for trial in (*searched.asked, *random.asked))
    cells = [trial.cell for trial in searched.asked if trial.protocol.epochs == 1]
    assert len(set(cells)) == len(cells)
    assert max(map(small, cells)) <= 60


def test_the_same_rows_ask_for_the_same_trials_in_whatever_order_they_came(study: Search) -> None:
    results = grown(study, 3)
    assert asked(study, results) == asked(study, dict(reversed(results.items())))
    assert not [trial for trial in Halving(study, HELD_OUT, 60, small).propose(results) if trial in results]
    worse = {trial: 1 - (reached or 0) for trial, reached in results.items()}
    first, second = (asked(study, found)[0].asked[:BRACKET] for found in (results, worse))
    assert first == second  # what comes of a bracket is known to the next only
    assert asked(study, results)[0].waiting != asked(study, worse)[0].waiting


def test_trials_that_fail_are_the_worst(study: Search) -> None:
    results = grown(study, 1)
    searched, random = asked(study, {})
    failed: dict[Trial, float | None] = dict.fromkeys([*searched.asked[6:], *random.asked])
    went_on, random = asked(study, {**results, **failed})
    assert {trial.cell for trial in went_on.waiting} == {trial.cell for trial in searched.asked[:6]}
    assert random.best({**results, **failed}) is None


def test_a_space_that_is_used_up_ends_the_search(study: Search) -> None:
    tiny = replace(study, suggest=lambda trial, _: {"widths": str(trial.suggest_int("width", 4, 6))})
    results: dict[Trial, float | None] = {}
    while trials := Halving(tiny, HELD_OUT, None, small).propose(results):
        results |= {trial: accuracy(trial) for trial in trials}
    searched, random = Halving(tiny, HELD_OUT, None, small).look(results)
    assert searched.is_over
    assert random.epochs >= searched.epochs
    assert len({trial.cell for trial in searched.asked}) == 3
    best = searched.best(results)
    assert best is not None
    assert best[0].cell.levels["widths"] == "6"


def _failing(_trial: Any, _limit: int | None) -> Any:
    return {"widths": 1 / 0}


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"widths": "64"}, r"none of 100 networks .* into 60 parameters \(the smallest has 64\)"),
        (["8"], "suggest returns levels, as in"),
        ({"width": "8"}, "suggests 'width', which is no factor: did you mean widths"),
        ({"widths": 8}, "suggests widths=8: .* none of its levels"),
        ({"activation": "selu"}, "suggests activation='selu': .* none of its levels 'relu', 'gelu'"),
        (_failing, r"fails in suggest: ZeroDivisionError: .* \(test_search.py, line \d+\)"),
    ],
)
def test_a_space_that_cannot_be_is_said(study: Search, levels: Any, message: str) -> None:
    suggested = levels if callable(levels) else lambda _trial, _limit: levels
    with pytest.raises(UsageError, match=message):
        asked(replace(study, suggest=suggested), {})


def test_what_is_only_searched_is_no_part_of_designs() -> None:
    known = replace(STUDY, architectures=[MODEL3, MODEL4]).catalogue(name="")
    assert list(known.architectures) == ["model3", "model4", "model7"]
    assert known.models == ["model3", "model4"]


def test_layers_are_no_factor_of_designs() -> None:
    known = catalogue()
    assert [cell.label for cell in toggles(["model7"], known.factors) if cell.levels["layers"] != LAYERS] == []
    assert preset_cell("model7").levels["layers"] == LAYERS
    assert preset_cell("model1").levels["layers"] == "none"


def test_layers_are_read_as_they_are_written() -> None:
    text = "8C3-8D3rs-MP2-16C1e-16C5v-MP3-16D3vr"
    assert written_layers(read_layers(text)) == text
    for wrong, message in (
        ("", "part 1, is no block like 16C3"),
        ("8C3-8X3", "'8X3', part 2"),
        ("MP2-8C3", "pools what no block gives"),
        ("8C3-MP2-MP2", "MP2, part 3"),
        ("8C3rr", "each letter stands once"),
        ("8C3se", "s or e, not both"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            read_layers(wrong)


def values_written(network: nn.Module, side: int) -> int:
    sizes: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, maps: sizes.append(maps.numel()))
    network.eval()(torch.zeros(1, 1, side, side))
    return sum(sizes)


def test_the_space_of_model7_fills_its_limits_and_counts_as_torch_does() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
    fullest = []
    for limit in (8_000, 3_000) * 10:
        blocks = read_layers(suggest(study.ask(), limit)["layers"])
        network = model7((1, 64, 64), 10, layers=written_layers(blocks))
        assert parameters(blocks) == sum(one.numel() for one in network.parameters()) <= limit
        assert written(blocks, 64) == values_written(network, 64)
        assert written(blocks) <= 40_000
        fullest.append(max(parameters(blocks) / limit, written(blocks) / 40_000))
    assert np.median(fullest) > 0.9


@dataclass(frozen=True)
class Searcher:
    """Searches on made-up trainings."""

    search: Search
    folder: Path

    def __call__(self, budget: Budget, folder: str = "rows") -> int:
        run, design = self.prepared(folder)
        return searching.carry_out_search(run, design, Place(1), budget, {"budget": "x", "epochs": 9})

    def prepared(self, folder: str = "rows") -> Any:
        run = searching.prepare_search(self.search, HELD_OUT, 2_000, Path("unused"), self.folder / folder)
        return run, searching.halving(self.search, run, 2_000)

    def rows(self, folder: str = "rows", file: str = "selection.csv") -> pd.DataFrame:
        return Store(self.folder / folder / "digits", file).trials()

    def trained(self, folder: str = "rows") -> list[tuple[Any, ...]]:
        rows = self.rows(folder)
        return list(rows[["design", "widths", "activation", "epochs", "val_accuracy"]].itertuples(index=False))


@pytest.fixture
def searcher(study: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searcher:
    _train_with(monkeypatch, train)
    monkeypatch.setattr(
        searching, "expected_seconds", lambda trials, _: {one.cell: one.protocol.epochs for one in trials}
    )
    return Searcher(study, tmp_path)


def _train_with(monkeypatch: pytest.MonkeyPatch, own: Train) -> None:
    for module in (batches, training):
        monkeypatch.setattr(module, "executor_at", lambda _place, _device, data, _stacks: Serial(data, own))


def test_a_kill_changes_nothing_of_what_follows(searcher: Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    assert searcher(Budget(trials=60), "whole") == 0
    whole = searcher.trained("whole")
    assert len(whole) == 60
    left = [23]

    def killed(stack: Sequence[Trial], data: Data) -> list[Trained]:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return train(stack, data)

    _train_with(monkeypatch, killed)
    with pytest.raises(InterruptedRunError, match="run the same command again"):
        searcher(Budget(trials=60))
    assert len(searcher.trained()) == 23
    _train_with(monkeypatch, train)
    assert searcher(Budget(trials=37)) == 0
    assert sorted(searcher.trained()) == sorted(whole)


def test_a_budget_of_time_is_kept_and_the_runs_file_has_each_rung(searcher: Searcher) -> None:
    assert searcher(Budget(seconds=0.5)) == 0
    assert not (searcher.folder / "rows" / "digits" / "selection.csv").exists()
    assert searcher(Budget(trials=30)) == 0
    [file] = (searcher.folder / "rows" / "digits" / "runs").glob("*.json")
    again = read_run(file).trials()
    assert {trial.protocol.epochs for trial in again} == {1, 3, 9}


@pytest.mark.slow
def test_winners_meet_the_test_set_on_fresh_seeds_and_a_report_says_how_they_do(
    searcher: Searcher, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no network has been trained for all epochs yet"):
        _confirm(searcher, 4)
    searcher(Budget(trials=70))
    said = capsys.readouterr().out
    assert "Neither winner has met the test set" in said
    assert "bench search examples/search.py --epochs 9 --results" not in said  # what is as by default isn't said
    assert _confirm(searcher, 4) == 0
    rows = searcher.rows(file="trials.csv")
    assert sorted(zip(rows["design"], rows["seed"], strict=True)) == [
        (f"{arm}-2000", seed) for arm in (AT_RANDOM, SEARCHED) for seed in range(1, 5)
    ]
    assert set(rows["val"]) == {0}
    evidence = gather(Store(searcher.folder / "rows" / "digits"), "digits")
    report = Report(evidence, 0.0005)
    [found] = searches(report)
    search, random = found.arms
    on_held_out = searcher.rows()
    of_search = on_held_out[on_held_out["design"] == "search-2000"]
    whole = of_search[of_search["epochs"] == 9]
    assert search.held_out == whole["val_accuracy"].max() == dict(search.course)[_cost_of_best(of_search)]
    assert search.epochs == of_search["epochs"].sum()
    assert search.winner.levels["widths"] == whole["widths"].iloc[int(whole["val_accuracy"].argmax())]
    assert search.fresh.keys() == random.fresh.keys() == {1, 2, 3, 4}
    mean = np.mean([accuracy(trial) for trial in Halving(searcher.search, HELD_OUT, 1, small).fresh(search.winner, 4)])
    assert search.accuracy is not None
    assert search.accuracy.mean == pytest.approx(mean)
    assert found.difference is not None
    assert found.difference.n == 4
    [sentence] = section.SECTION.sentences(report)
    assert "of the search with at most 2,000 parameters " in sentence
    assert "not over searches" in sentence
    table = section.search_table(report)
    assert [row["search"] for row in table.rows] == ["search", "random search"]
    charts = {chart.name: chart for chart in draw_charts(report)}
    assert "random search" in charts["search"].alt


def _cost_of_best(rows: pd.DataFrame) -> int:
    whole = rows[rows["epochs"] == 9]
    return int(rows["epochs"].cumsum()[whole.index].iloc[int(whole["val_accuracy"].argmax())])


def _confirm(searcher: Searcher, seeds: int) -> int:
    run, design = searcher.prepared()
    return searching.confirm(run, design, Place(1), seeds, Path("unused"), searcher.folder / "rows", None, 0.0005)


def test_a_report_shows_a_search_whatever_its_precision_and_says_nothing_without_one(searcher: Searcher) -> None:
    searcher(Budget(trials=70))
    _confirm(searcher, 2)
    evidence = gather(Store(searcher.folder / "rows" / "digits"), "digits")
    report = Report(evidence, 0.0005)
    [found] = searches(report)
    assert [len(arm.fresh) for arm in found.arms] == [2, 2]
    [chart] = [chart for chart in draw_charts(report) if chart.name == "search"]
    assert not cut_texts(chart.figure)
    elsewhere = replace(
        evidence,
        protocol={**evidence.protocol, "precision": "bf16"},
        trials=evidence.trials.iloc[:0],
        other_precisions=evidence.trials,
    )
    assert searches(Report(elsewhere, 0.0005)) == (found,)
    assert elsewhere.protocol["precision"] != found.precision
    (searcher.folder / "rows" / "digits" / "selection.csv").unlink()
    report = Report(gather(Store(searcher.folder / "rows" / "digits"), "digits"), 0.0005)
    table: Table = section.search_table(report)
    assert table.rows == ()
    assert list(section.SECTION.sentences(report)) == []


def test_a_users_search_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    smaller = (("epochs=9", "epochs=1"), ("batch_size=16", "batch_size=64"))
    source = edited(*smaller, source=EXAMPLE.read_text(encoding="utf-8"))
    write(tmp_path, source, "mine.py")
    options = ("--workers", 0, "--no-report")
    ran = bench("search", "mine.py", "--budget", "3trials", *options)
    assert ran.code == 0, ran.err
    assert "python -m bench search mine.py --confirm 20" in ran.out
    assert len(Store(tmp_path / "results" / "mine" / "digits", "selection.csv").trials()) == 3
    planned = bench("search", "mine.py", "--plan")
    assert "About " in planned.out
    ended = bench("search", "mine.py", "--confirm", 2, *options)
    assert ended.code == 0, ended.err
    assert set(Store(tmp_path / "results" / "mine" / "digits").trials()["seed"]) == {1, 2}
    assert "bench search of" in bench("list", "mine.py").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "a search never ends by itself"),
        (("--budget", "2h", "--confirm", 20), "--confirm ends a search"),
        (("--confirm", 1), "--confirm is 2 to"),
        (("--budget", "2h", "--parameters", 0), "--parameters is 1 or more"),
        (("--budget", "2h", "--val", 0), "--val 0 would choose on test images"),
        (("--budget", "soon"), "as in 3h, 90min or 200trials"),
        (("tests/fake.py", "--budget", "2h"), "the study has nothing to search"),
    ],
)
def test_what_makes_no_sense_is_said(options: Sequence[object], message: str) -> None:
    ran = bench("search", *options)
    assert (ran.code, len(ran.lines)) == (2, 1)
    assert message in ran.err


def test_without_optuna_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = bench("search", "--budget", "2h")
    assert ran.code == 2
    assert ran.lines == [
        "bench: bench search needs Optuna, which is not installed: `pip install 'classifier-bench[search]'` gets it"
    ]
