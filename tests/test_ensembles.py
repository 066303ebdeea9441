"""Ensembles of seeds, and the report's tables and chart of readouts."""

from pathlib import Path

import numpy as np
import pytest

from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.probabilities import quality, rounded
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts, make_tables
from bench.report.sections.ensembles.results import ensemble_results
from bench.report.sections.readouts.results import readout_results
from bench.report.stats.ensembles import averaged, ensembles
from bench.run.runner import prepare_run, record
from bench.run.worker import Trained
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
    labels = np.arange(200) % 10
    predicted = [of_chance(seed, labels) for seed in range(7)]
    found = ensembles(predicted, labels, (1, 2, 3, 8))
    assert [(one.size, one.accuracy.n) for one in found] == [(1, 7), (2, 3), (3, 2)]
    pairs = [quality(averaged(predicted[at : at + 2]), labels).accuracy for at in (0, 2, 4)]
    assert found[1].accuracy.mean == pytest.approx(np.mean(pairs))
    assert found[0].accuracy.mean == np.mean([(one.argmax(1) == labels).mean() for one in predicted])
    assert found[2].accuracy.mean > found[1].accuracy.mean > found[0].accuracy.mean


def test_one_group_has_no_interval_and_one_network_is_no_ensemble() -> None:
    labels = np.arange(100) % 10
    [one, two] = ensembles([of_chance(seed, labels) for seed in range(2)], labels)
    assert one.accuracy.has_interval
    assert not two.accuracy.has_interval
    assert averaged([of_chance(0, labels)]) is not None
    assert [found.size for found in ensembles([of_chance(0, labels)], labels)] == [1]


def test_probabilities_are_averaged_and_not_their_logarithms() -> None:
    first, second = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]])
    np.testing.assert_allclose(np.exp(averaged([first, second])), [[0.55, 0.45]])
    np.testing.assert_allclose(np.exp(averaged([rounded(first), rounded(second)])), [[0.55, 0.45]], rtol=1e-3)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Of made-up trials of two models, read out by the last weights and an average that is better."""
    protocol = Protocol("digits", epochs=1, readouts=("ema",))
    names = ("model1", "model3")
    trials = [Trial(preset_cell(name), seed, protocol) for seed in range(SEEDS) for name in names]
    run = prepare_run(trials, "presets", Path("unused"), tmp_path)
    labels = run.data.held_out.labels.numpy()
    for number, trial in enumerate(trials):
        last = of_chance(number, labels, better=2.0)
        average = of_chance(number, labels, better=2.2)
        made = made_up(trial, run.data, float((last.argmax(1) == labels).mean()))
        assert made.outcome is not None
        read = {"last": last, "ema": average}
        outcome = Outcome("done", made.outcome.curve, tuple(last.argmax(1)), 1.0, readouts=read)
        record(run, Trained(trial, outcome, None, made.started_at, None))
    return Report(gather(run.store, "digits"), 0.0005)


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
    assert "1 to 5 of them" in chart.caption
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
