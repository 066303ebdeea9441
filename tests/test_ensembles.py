"""Ensembles of seeds, and the report's tables and chart of readouts."""

import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.probabilities import Quality, quality, rounded
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts, make_tables
from bench.report.sections.ensembles.results import ensemble_results
from bench.report.sections.readouts.results import readout_results
from bench.report.stats.ensembles import averaged, ensembles, groups_of
from bench.run.runner import Run, prepare_run, record
from bench.run.worker import Trained
from bench.session.shown import record_shown
from bench.train.outcome import Outcome
from tests.test_reuse import made_up

SEEDS = 5


def of_chance(seed: int, labels: np.ndarray, better: float = 1.5) -> np.ndarray:
    """Logarithms of probabilities that favour the right class."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(labels), 10))
    logits[np.arange(len(labels)), labels] += better
    logs: np.ndarray = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return logs.astype(np.float32)


def test_groups_share_no_seed_and_leave_the_rest_out() -> None:
    assert list(groups_of("abcdefg", (1, 3, 8))) == [*"abcdefg", "abc", "def"]
    labels = np.arange(200) % 10
    predicted = [of_chance(seed, labels) for seed in range(7)]
    measured = defaultdict(list)
    for group in groups_of(predicted, (1, 2, 3, 8)):
        measured[len(group)].append(quality(averaged(group), labels))
    found = ensembles(measured, len(labels))
    assert [(one.size, one.accuracy.n) for one in found] == [(1, 7), (2, 3), (3, 2)]
    pairs = [quality(averaged(predicted[at : at + 2]), labels).accuracy for at in (0, 2, 4)]
    assert found[1].accuracy.mean == pytest.approx(np.mean(pairs))
    assert found[0].accuracy.mean == np.mean([(one.argmax(1) == labels).mean() for one in predicted])
    assert found[2].accuracy.mean > found[1].accuracy.mean > found[0].accuracy.mean


def test_one_group_has_no_interval() -> None:
    [several, alone] = ensembles({1: [Quality(0.9, 0.3, 0.1, 0.02)] * 2, 2: [Quality(0.91, 0.2, 0.1, 0.02)]}, 100)
    assert several.accuracy.has_interval
    assert not alone.accuracy.has_interval


def test_probabilities_are_averaged_and_not_their_logarithms() -> None:
    first, second = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]])
    np.testing.assert_allclose(np.exp(averaged([first, second])), [[0.55, 0.45]])
    np.testing.assert_allclose(np.exp(averaged([rounded(first), rounded(second)])), [[0.55, 0.45]], rtol=1e-3)


def run_of(folder: Path, seeds: int) -> Run:
    """Made-up trials of two models, read out by the last weights and an average that is better; those that have no rows
    get them."""
    protocol = Protocol("digits", epochs=1, readouts=("ema",))
    trials = [Trial(preset_cell(name), seed, protocol) for seed in range(seeds) for name in ("model1", "model3")]
    run = prepare_run(trials, "presets", Path("unused"), folder)
    labels, missing = run.data.held_out.labels.numpy(), run.missing()
    for number, trial in ((number, trial) for number, trial in enumerate(trials) if trial in missing):
        last = of_chance(number, labels, better=2.0)
        average = of_chance(number, labels, better=2.2)
        made = made_up(trial, run.data, float((last.argmax(1) == labels).mean()))
        assert made.outcome is not None
        read = {"last": last, "ema": average}
        outcome = Outcome("done", made.outcome.curve, tuple(last.argmax(1)), 1.0, readouts=read)
        record(run, Trained(trial, outcome, None, made.started_at, None))
    record_shown(run)
    return run


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Of the run."""
    return Report(gather(run_of(tmp_path, SEEDS).store, "digits"), 0.0005)


def test_ensembles_are_recorded_once_and_anew_when_seeds_come(tmp_path: Path) -> None:
    """The newest row of whatever trials counts, and no probabilities are needed to show it."""
    path = tmp_path / "digits" / "ensembles.csv"
    run_of(tmp_path, 1)
    assert not path.exists()
    run_of(tmp_path, 2)
    before = path.read_bytes()
    run_of(tmp_path, 2)
    assert path.read_bytes() == before
    run = run_of(tmp_path, SEEDS)
    assert path.read_bytes().startswith(before)
    shutil.rmtree(tmp_path / "digits" / "probabilities")
    [first, _] = ensemble_results(Report(gather(run.store, "digits"), 0.0005))
    assert [(one.size, one.accuracy.n) for one in first.by_size] == [(1, 5), (2, 2), (4, 1)]
    rows = run.store.ensembles()
    assert len(rows) == 2 * (2 + 1) + 2 * (5 + 2 + 1)
    labels = run.data.held_out.labels.numpy()
    pair = [rounded(of_chance(number, labels, better=2.0)) for number in (0, 2)]
    assert rows["accuracy"][rows["members"].str.count(" ") == 1].iloc[0] == quality(averaged(pair), labels).accuracy


def test_a_report_says_what_readouts_and_ensembles_are_worth(report: Report) -> None:
    tables = {table.name: table for table in make_tables(report)}
    rows = tables["readouts"].rows
    assert [(row["cell"], row["readout"]) for row in rows] == [
        (name, readout) for name in ("model1", "model3") for readout in ("last", "ema")
    ]
    cells = {row["cell"]: row["accuracy"] for row in tables["cells"].rows}
    for last, ema in zip(rows[::2], rows[1::2], strict=True):
        assert last["accuracy"] == pytest.approx(cells[last["cell"]])
        assert last["gain"] is None
        assert ema["gain"] == pytest.approx(ema["accuracy"] - last["accuracy"])
        assert ema["gain_low"] < ema["gain"] < ema["gain_high"]
        assert ema["n"] == SEEDS
    sizes = [(row["cell"], row["size"], row["n"]) for row in tables["ensembles"].rows]
    assert sizes == [(name, size, groups) for name in ("model1", "model3") for size, groups in ((1, 5), (2, 2), (4, 1))]
    for row in tables["ensembles"].rows:
        if row["size"] == 1:
            assert row["accuracy"] == pytest.approx(cells[row["cell"]])
    assert tables["ensembles"].rows[2]["parameters"] == 4 * 7_616
    assert "None" not in tables["readouts"].markdown() + tables["ensembles"].markdown()


def test_the_chart_has_a_line_a_model(report: Report) -> None:
    [chart] = [chart for chart in draw_charts(report) if chart.name == "ensembles"]
    assert "1 to 5 disjoint groups" in chart.caption
    assert "model1" in chart.alt
    assert "with 4 seeds" in chart.alt


def test_without_readouts_a_report_has_neither(tmp_path: Path) -> None:
    protocol = Protocol("digits", epochs=1)
    run = prepare_run([Trial(preset_cell("model1"), 0, protocol)], "presets", Path("unused"), tmp_path)
    for trial in run.missing():
        record(run, made_up(trial, run.data))
    found = Report(gather(run.store, "digits"), 0.0005)
    assert not readout_results(found)
    assert not ensemble_results(found)
    assert not {"readouts", "ensembles"} & {table.name for table in make_tables(found)}
