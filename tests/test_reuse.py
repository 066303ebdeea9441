"""Which rows a run takes as its own, and which protocol a report is about."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import run_command_line
from bench.errors import UsageError
from bench.plan.catalogue import catalogue, find_factors, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.plan.levels import Level
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import make_tables
from bench.report.sections.rates import rate_table
from bench.run.networks import network_today
from bench.run.runner import Run, prepare_run, record
from bench.run.worker import Trained
from bench.train.data import Data
from bench.train.optim import Schedule, make_update
from bench.train.outcome import Epoch, Outcome
from tests.catalogues import grown

ARCHITECTURES = catalogue().architectures
FACTORS = catalogue().factors

SHORT = Protocol("digits", epochs=1)


def made_up(trial: Trial, data: Data, accuracy: float = 0.5) -> Trained:
    epochs = tuple(Epoch(n, 0.5, 1.0, accuracy, 1.0, trial.lr, 0.1) for n in range(1, trial.protocol.epochs + 1))
    outcome = Outcome("done", epochs, tuple(data.held_out.labels.tolist()), 1.0)
    return Trained(trial, outcome, None, "2026-01-01T00:00:00Z", None)


def recorded(run: Run) -> Run:
    for trial in run.missing():
        record(run, made_up(trial, run.data))
    return run


def prepared(cells: list[Cell], results: Path, protocol: Protocol = SHORT, seeds: int = 2) -> Run:
    trials = [Trial(cell, seed, protocol) for seed in range(seeds) for cell in cells]
    return prepare_run(trials, "toggles", Path("unused"), results)


@pytest.fixture
def twin() -> Iterator[Cell]:
    """model1 under another name."""
    with using(grown(architectures=[dataclasses.replace(ARCHITECTURES["model1"], name="twin")])):
        yield preset_cell("twin")


def test_an_architecture_under_another_name_takes_over_its_rows(tmp_path: Path, twin: Cell) -> None:
    recorded(prepared([preset_cell("model1")], tmp_path))
    run = prepared([twin], tmp_path)
    assert run.missing() == []
    assert len(run.rows()) == 0
    run.adopt()
    assert run.rows()["architecture"].tolist() == ["twin", "twin"]
    run.adopt()
    trials = Store(tmp_path / "digits").trials()
    assert trials["architecture"].tolist() == ["model1", "model1", "twin", "twin"]
    assert trials["trial"].nunique() == 2
    evidence = gather(run.store, "digits", networks=network_today)
    assert {cell.label for cell in evidence.cells} == {"model1", "twin"}


def test_of_two_cells_that_are_the_same_but_for_their_names_one_is_trained(tmp_path: Path, twin: Cell) -> None:
    run = prepared([preset_cell("model1"), twin], tmp_path)
    assert len(run.trials) == 4
    assert [trial.cell.architecture for trial in run.missing()] == ["model1", "model1"]
    recorded(run).adopt()
    assert run.missing() == []
    assert sorted(run.rows()["architecture"]) == ["model1", "model1", "twin", "twin"]
    first, second = (run.rows().query("architecture == @name").sort_values("seed") for name in ("model1", "twin"))
    assert first["test_accuracy"].tolist() == second["test_accuracy"].tolist()


def test_a_failed_trial_is_retried_once_a_key(tmp_path: Path) -> None:
    run = prepared([preset_cell("model1")], tmp_path, seeds=1)
    [trial] = run.trials
    record(run, Trained(trial, None, "it failed", "2026-01-01T00:00:00Z", None))
    assert run.missing() == []
    assert run.missing(retry_failed=True) == [trial]
    record(run, made_up(trial, run.data))
    assert run.missing(retry_failed=True) == []
    assert run.rows()["status"].tolist() == ["done"]


def test_a_given_rate_that_equals_the_selected_one_splits_no_protocol(tmp_path: Path) -> None:
    """With 0.03 for all, model2's rate without batch norm is not the selected one, and with it it is."""
    [batch_norm] = find_factors(["batch_norm"])
    cells = [preset_cell("model2"), preset_cell("model2").with_level(batch_norm, False)]
    given = dataclasses.replace(SHORT, lr=0.03)
    run = recorded(prepared(cells, tmp_path, given))
    rates = run.rows().set_index("batch_norm")[["lr", "selected_lr"]].drop_duplicates()
    assert rates.loc[["on", "off"]].to_numpy().tolist() == [[0.03, 0.03], [0.03, 0.01]]
    for where in ({}, {"lr": "0.03"}, {"lr": "3e-2"}):
        evidence = gather(run.store, "digits", where, network_today)
        assert {cell.label for cell in evidence.cells} == {"model2", "model2 batch_norm=off"}, where
        assert evidence.protocol["rate"] == "0.03"
        assert evidence.left_out == ()


def test_rows_at_the_selected_rates_and_at_one_for_all_are_reported_each_on_its_own(tmp_path: Path) -> None:
    [batch_norm] = find_factors(["batch_norm"])
    cells = [preset_cell("model2"), preset_cell("model2").with_level(batch_norm, False)]
    selected = recorded(prepared(cells, tmp_path, seeds=3))
    given = recorded(prepared(cells, tmp_path, dataclasses.replace(SHORT, lr=0.03), seeds=3))
    assert len(selected.rows()) == len(given.rows()) == 6
    assert len(Store(tmp_path / "digits").trials()) == 9  # batch norm's rate is 0.03 either way
    # What was trained at 0.03 for all is, beside the selected rates, what toggles have at their preset's rate.
    others = ("3 trials under 1 other protocol",)
    for run, rate, left_out in ((selected, "selected", ()), (given, "0.03", others)):
        keys = {named.key for named in run.named}
        evidence = gather(run.store, "digits", networks=network_today, prefer=keys)
        assert evidence.protocol["rate"] == rate
        assert len(evidence.trials) == 6
        assert evidence.left_out == left_out


def test_a_run_reports_on_what_it_ran_whatever_else_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(prepared([preset_cell("model1")], tmp_path / "results", seeds=5))
    options = "run --models model3 --design presets --seeds 2 --epochs 2 --dataset digits --workers 0 --precision fp32"
    places = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert run_command_line([*options.split(), "--no-timing", *places]) == 0
    assert "Report:" in capsys.readouterr().out
    page = (tmp_path / "reports" / "digits" / "README.md").read_text()
    assert "model3" in page.partition("## ")[0] + page
    assert "Left out of this report: 5 trials under 1 other protocol." in page
    cells = (tmp_path / "reports" / "digits" / "tables" / "cells.csv").read_text()
    assert "model3" in cells
    assert "model1" not in cells


def test_a_level_that_nobody_handles_is_an_error_and_no_fall_through() -> None:
    [scheduler] = find_factors(["scheduler"])
    trial = Trial(preset_cell("model1").with_level(scheduler, "linear"), 0, SHORT)
    with pytest.raises(UsageError, match="no schedule is called 'linear': there are step, cosine, onecycle"):
        Schedule(dataclasses.replace(trial, protocol=dataclasses.replace(SHORT, lr=0.1)), 3)
    protocol = dataclasses.replace(SHORT, lr=0.1)
    object.__setattr__(protocol, "optimizer", "adam")
    with pytest.raises(UsageError, match="no optimiser is called 'adam': did you mean adamw"):
        make_update(Trial(preset_cell("model1"), 0, protocol))
    model1 = ARCHITECTURES["model1"]
    wrong: dict[str, dict[str, Level]] = {
        "its preset of scheduler is 'linear', none of the factor's levels step, cosine, onecycle": {
            "scheduler": "linear"
        },
        "no factor is called 'schedule': did you mean scheduler": {"schedule": "step"},
        "the preset of dropout, which changes the network, is its keyword's default": {"dropout": 0.1},
    }
    for problem, preset in wrong.items():
        with pytest.raises(UsageError, match=f"wrong: {problem}"):
            grown(architectures=[dataclasses.replace(model1, name="wrong", preset=preset)]).check()
    with pytest.raises(UsageError, match="two factors are called gap"):
        grown(find_factors(["gap"])).check()


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_every_level_of_every_factor_is_handled(factor: Factor, tmp_path: Path) -> None:
    name = next(name for name, one in catalogue().architectures.items() if one.applies(factor))
    cells = [preset_cell(name).with_level(factor, level) for level in factor.levels]
    assert len({named.key for named in prepared(cells, tmp_path, seeds=1).named}) == len(factor.levels)


def test_a_sweep_over_rates_is_a_table(tmp_path: Path) -> None:
    cell = preset_cell("model3")
    for rate, accuracy in ((0.05, 0.9), (0.1, 0.95), (0.2, 0.85)):
        run = prepared([cell], tmp_path, dataclasses.replace(SHORT, lr=rate), seeds=3)
        for trial in run.missing():
            record(run, made_up(trial, run.data, accuracy + 0.001 * trial.seed))
    analysis = Report(gather(run.store, "digits", networks=network_today), 0.0005)
    table = rate_table(analysis)
    shown = [(row["lr"], row["selected"], row["n"]) for row in table.rows]
    assert shown == [(0.05, "", 3), (0.1, "selected", 3), (0.2, "", 3)]
    assert [row["accuracy"] for row in table.rows] == pytest.approx([0.901, 0.951, 0.851])
    assert "rates" in {table.name for table in make_tables(analysis)}
    at_one_rate = gather(run.store, "digits", {"lr": "0.1"}, network_today)
    assert not rate_table(Report(at_one_rate, 0.0005)).rows
