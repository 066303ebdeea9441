"""Toggles whose rate isn't their preset's are trained at both, and a report tells the two apart."""

import dataclasses
import json
from pathlib import Path

import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import Rates, catalogue, find_factors, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import DESIGNS
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, arms, counted, planned
from bench.report.evidence import Evidence, gather
from bench.report.report import Report
from bench.report.sections import caveats
from bench.report.sections.effects.measured import effects
from bench.report.sections.effects.sentences import headlines
from bench.report.sections.effects.table import effect_table
from bench.report.sections.rates import rate_table
from bench.run.networks import network_today
from bench.run.runner import Run, prepare_run, record
from bench.run.staleness import stale_trials
from bench.run.worker import Trained
from bench.session.recorded import read_run, record_run
from bench.session.training import print_result
from tests.test_reuse import SHORT, made_up

BATCH_NORM, GAP = find_factors(["batch_norm", "gap"])
MODEL1 = preset_cell("model1")
NORMED = MODEL1.with_level(BATCH_NORM, True)
POOLED = MODEL1.with_level(GAP, True)
CELLS = [MODEL1, NORMED, POOLED]
OWN, SIBLING = 0.03, 0.01


def plan(design: str = "toggles", protocol: Protocol = SHORT, cells: list[Cell] | None = None) -> list[Trial]:
    return list(planned(design, CELLS if cells is None else cells, 2, protocol))


def prepared(results: Path, trials: list[Trial] | None = None) -> Run:
    return prepare_run(plan() if trials is None else trials, "toggles", Path("unused"), results)


def recorded(run: Run, at_own: float = 0.8, at_presets: float = 0.6) -> Run:
    """Trains nothing: siblings have another accuracy, and each seed a thousandth more than the one before."""
    for trial in run.missing():
        accuracy = at_own if trial.protocol == run.protocol else at_presets
        record(run, made_up(trial, run.data, accuracy + 0.001 * trial.seed))
    return run


def reported(run: Run, prefer: bool = False) -> Evidence:
    return gather(run.store, "digits", networks=network_today, prefer=run.own_keys if prefer else ())


def test_a_toggle_that_changes_the_rate_has_a_sibling_at_its_presets() -> None:
    cells = list(DESIGNS["toggles"](catalogue().models, catalogue().factors))
    trials = plan(cells=cells)
    siblings = [trial for trial in trials if trial.protocol != SHORT]
    assert len(trials) - len(siblings) == 2 * len(cells)
    for trial in siblings:
        preset = Trial(preset_cell(trial.cell.architecture), trial.seed, SHORT)
        assert trial.lr == preset.lr != trial.selected_lr
        assert trial.label == f"{trial.cell.label} lr={preset.lr:g}"
        assert preset.label == preset.cell.label
        assert trial == dataclasses.replace(trial, protocol=dataclasses.replace(SHORT, lr=preset.lr))
    expected = {cell for cell in cells if SHORT.rate(cell) != SHORT.rate(preset_cell(cell.architecture))}
    assert {trial.cell for trial in siblings} == expected
    assert NORMED in expected
    assert POOLED not in expected
    assert all(len(cell.differences(preset_cell(cell.architecture))) == 1 for cell in expected)
    # Seed by seed, each beside its cell: a run that is cut short has whole replicates.
    assert [trial.seed for trial in trials] == sorted(trial.seed for trial in trials)
    assert [(trial.cell, trial.lr) for trial in plan()[:4]] == [
        (MODEL1, SIBLING),
        (NORMED, OWN),
        (NORMED, SIBLING),
        (POOLED, SIBLING),
    ]


def test_at_one_rate_and_in_other_designs_there_is_none() -> None:
    for design in DESIGNS:
        assert len(plan(design)) == (8 if design == "toggles" else 6)
    assert len(plan(protocol=dataclasses.replace(SHORT, lr=0.5))) == 6
    with using(dataclasses.replace(catalogue(), rates=Rates((), {(): 0.02}))):
        assert len(plan()) == 6


def test_tables_call_a_sibling_by_its_rate() -> None:
    assert list(arms(plan()).values()) == [
        "model1",
        "model1 batch_norm=on",
        "model1 batch_norm=on lr=0.01",
        "model1 gap=on",
    ]
    assert counted(plan()) == "3 cells (4 counted by rate) x 2 seeds = 8 trials"
    given = plan(protocol=dataclasses.replace(SHORT, lr=0.5))
    assert list(arms(given).values()) == [cell.label for cell in CELLS]
    assert counted(given) == "3 cells x 2 seeds = 6 trials"


def test_the_table_of_a_run_has_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(recorded(prepared(tmp_path)))
    lines = [line.split()[:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("model1")]
    assert [line[:-2] for line in lines] == [
        ["model1", "80.05"],
        ["model1", "batch_norm=on", "80.05"],
        ["model1", "batch_norm=on", "lr=0.01", "60.05"],
        ["model1", "gap=on", "80.05"],
    ]
    assert {line[-1] for line in lines} == {"2"}


@pytest.mark.parametrize("prefer", [False, True])
def test_the_report_is_on_the_cells_at_their_own_rates(tmp_path: Path, prefer: bool) -> None:
    """All of a model's toggles were trained at its preset's rate as well: as many trials as at their own."""
    evidence = reported(recorded(prepared(tmp_path)), prefer)
    assert evidence.protocol["rate"] == "selected"
    assert [cell.label for cell in evidence.cells] == [cell.label for cell in CELLS]
    assert evidence.left_out == ()
    assert evidence.trials["test_accuracy"].between(0.79, 0.81).all()
    assert evidence.accuracies_at(NORMED, OWN) == pytest.approx({0: 0.8, 1: 0.801})
    assert evidence.accuracies_at(NORMED, SIBLING) == pytest.approx({0: 0.6, 1: 0.601})
    assert evidence.accuracies_at(MODEL1, SIBLING) == pytest.approx({0: 0.8, 1: 0.801})
    assert evidence.accuracies_at(NORMED, 0.5) == evidence.accuracies_at(preset_cell("model2"), OWN) == {}
    analysis = Report(evidence, 0.0005)
    assert not [text for text in caveats(analysis) if "protocol" in text or "Incomplete" in text]
    assert [(row["cell"], row["lr"], row["selected"]) for row in rate_table(analysis).rows] == [
        ("model1 batch_norm=on", SIBLING, ""),
        ("model1 batch_norm=on", OWN, "selected"),
    ]


def test_siblings_that_alone_are_done_change_no_report(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    for trial in run.missing():
        if (trial.cell, trial.lr) == (NORMED, OWN):
            record(run, Trained(trial, None, "it failed", "2026-01-01T00:00:00Z", None))
    evidence = reported(recorded(run))
    assert evidence.protocol["rate"] == "selected"
    assert evidence.left_out == ()
    assert evidence.accuracies_at(NORMED, OWN) == {}
    assert len(evidence.accuracies_at(NORMED, SIBLING)) == 2


def test_one_rate_for_all_is_another_protocol_still(tmp_path: Path) -> None:
    recorded(prepared(tmp_path))
    given = dataclasses.replace(SHORT, lr=SIBLING)
    run = recorded(prepared(tmp_path, [Trial(cell, seed, given) for seed in range(6) for cell in CELLS]))
    evidence = reported(run)
    assert evidence.protocol["rate"] == "0.01"
    assert len(evidence.trials) == 18
    assert evidence.left_out == ("2 trials under 1 other protocol",)
    selected = gather(run.store, "digits", networks=network_today, prefer=prepared(tmp_path).own_keys)
    assert selected.protocol["rate"] == "selected"
    assert selected.left_out == ("4 trials under 1 other protocol",)  # the seeds that batch norm's own rate hasn't


def test_a_sibling_at_the_rate_that_was_selected_anew_is_the_cell_itself(tmp_path: Path) -> None:
    """It isn't trained again, and what was trained at the rate of before stands among other rates."""
    recorded(prepared(tmp_path))
    with using(dataclasses.replace(catalogue(), rates=Rates((), {(): SIBLING}))):
        run = prepared(tmp_path, list(planned("toggles", CELLS, 3, SHORT)))
        assert [(trial.cell, trial.seed) for trial in run.missing()] == [(cell, 2) for cell in CELLS]
        evidence = reported(recorded(run, at_own=0.6))
        assert evidence.protocol["rate"] == "selected"
        own = evidence.trials[evidence.trials["cell"] == NORMED.label]
        assert own["seed"].tolist() == [0, 1, 2]
        assert (own["lr"] == SIBLING).all()
        assert evidence.accuracies_at(NORMED, SIBLING) == pytest.approx({0: 0.6, 1: 0.601, 2: 0.602})
        rates = [(row["cell"], row["lr"], row["selected"]) for row in rate_table(Report(evidence, 0.0005)).rows]
        assert rates == [("model1 batch_norm=on", SIBLING, "selected"), ("model1 batch_norm=on", OWN, "")]


def test_a_sibling_of_other_code_is_no_sibling(tmp_path: Path) -> None:
    run = recorded(prepared(tmp_path))
    assert len(reported(run).accuracies_at(NORMED, SIBLING)) == 2
    # The schedule's code has changed since the siblings were trained.
    training, parts = run.named[0].parts.training, run.named[0].training
    siblings = {named.key for named in run.named if named.trial.protocol != run.protocol}
    lines = run.store.trials_path.read_text().splitlines()
    changed = [line.replace(training, "0" * 16) if siblings & set(line.split(",")) else line for line in lines]
    run.store.trials_path.write_text("\n".join(changed) + "\n")
    run.store.add_parts("0" * 16, {**parts, "schedule": "1" * 16})
    evidence = reported(prepared(tmp_path))
    assert evidence.accuracies_at(NORMED, SIBLING) == {}
    assert len(evidence.accuracies_at(NORMED, OWN)) == 2


def test_a_sibling_that_is_missing_is_not_called_stale(tmp_path: Path) -> None:
    recorded(prepared(tmp_path, list(planned("presets", CELLS, 2, SHORT))))
    run = prepared(tmp_path)
    assert [(trial.cell, trial.lr) for trial in run.missing()] == [(NORMED, SIBLING)] * 2
    assert stale_trials(run) == {}
    # Nor is a cell at its own rate whose sibling is there.
    other = prepared(tmp_path / "other", [trial for trial in plan() if trial.lr == SIBLING])
    recorded(other)
    assert stale_trials(prepared(tmp_path / "other")) == {}


def test_status_has_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "model1", "--factors", "batch_norm", "--dataset", "digits", "--epochs", "1"]
    options += ["--batch-size", "64", "--precision", "fp32", "--seeds", "2", "--results", str(tmp_path)]
    options += ["--optimizer", "sgd"]
    recorded(prepared(tmp_path, list(planned("presets", CELLS, 2, SHORT))))
    assert run_command_line(["status", *options]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("model1")]
    assert lines == [
        ["model1", "2", "0", "0", "0", "0"],
        ["model1", "batch_norm=on", "2", "0", "0", "0", "0"],
        ["model1", "batch_norm=on", "lr=0.01", "0", "0", "0", "0", "2"],
    ]
    assert run_command_line(["run", *options, "--plan"]) == 0
    out = capsys.readouterr().out
    assert "  model1 batch_norm=on  (lr 0.01, that of its preset)\n" in out
    assert "2 cells (3 counted by rate) x 2 seeds = 6 trials: 4 recorded, 2 to train" in out


def test_a_run_is_repeated_with_its_siblings(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    path = record_run(run, {})
    said = json.loads(path.read_text())
    assert [(one["cell"], one["lr"]) for one in said["cells"]] == [
        ("model1", SIBLING),
        ("model1 batch_norm=on", OWN),
        ("model1 batch_norm=on", SIBLING),
        ("model1 gap=on", SIBLING),
    ]
    assert read_run(path).trials() == list(run.trials)


def test_a_report_tells_a_technique_with_its_rate_from_the_technique_alone(tmp_path: Path) -> None:
    analysis = Report(reported(recorded(prepared(tmp_path, list(planned("toggles", CELLS, 3, SHORT))))), 0.0005)
    normed, alone, pooled = effects(analysis)
    assert [effect.factor for effect in effects(analysis)] == [BATCH_NORM, BATCH_NORM, GAP]
    assert (normed.rates, normed.same_rate) == ((OWN, SIBLING), False)
    assert (alone.rates, alone.same_rate) == ((SIBLING, SIBLING), True)
    assert normed.comparison.difference.mean == pytest.approx(0.0)
    assert alone.comparison.difference.mean == pytest.approx(-0.2)
    assert pooled.at_rates == ""
    names = [row["technique"] for row in effect_table(analysis).rows]
    assert names == [
        "Batch norm (at its rate 0.03, against 0.01)",
        "Batch norm (at the same rate 0.01)",
        "Global average pooling",
    ]
    texts = list(headlines(analysis))
    assert any(text.startswith("Batch norm at an equal rate hurts: ") for text in texts)
    assert any(text.startswith("Batch norm at its own rate ") for text in texts)
