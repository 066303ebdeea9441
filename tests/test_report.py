"""Tables made from rows."""

import dataclasses

import pandas as pd
import pytest

from bench.plan.catalogue import find_factors, written_levels
from bench.plan.cells import preset_cell
from bench.record.columns import columns
from bench.record.schema import TimingRow
from bench.record.store import Store
from bench.report.selection import TIE, rate_table, render_selection
from bench.report.summary import outcome_counts, render, summary_table
from tests.test_record import ROW


def test_summary_counts_each_cells_own_rows(tmp_path: object) -> None:
    store = Store(tmp_path / "digits")  # type: ignore[operator]
    levels_of_preset: dict[str, str | float | None] = {**written_levels(preset_cell("model1").levels)}
    base = dataclasses.replace(ROW, levels=levels_of_preset)
    for seed, accuracy in enumerate([0.98, 0.99, 0.97]):
        store.add_trial(dataclasses.replace(base, trial=f"a{seed}", seed=seed, test_accuracy=accuracy))
    store.add_trial(
        dataclasses.replace(base, trial="b", levels=levels_of_preset | {"batch_norm": "on"}, test_accuracy=0.5)
    )
    store.add_trial(dataclasses.replace(base, trial="c", status="diverged", test_accuracy=None))
    network: dict[str, str | float | None] = {"batch_norm": "off", "gap": "off", "dropout": 0.0}
    levels = network | {"augmentation": "basic"}
    timing = TimingRow("r", "train", "model1", levels, 64, "sgd", 0, 640, 0.5, 1, "fp32", "cpu", "c", "m")
    store.add_timings(
        [
            timing,
            dataclasses.replace(timing, seconds=0.25),
            dataclasses.replace(timing, seconds=1.0),
            dataclasses.replace(timing, seconds=9.0, levels=levels | {"augmentation": "none"}),
            dataclasses.replace(timing, metric="inference", levels=network, images=100, seconds=0.1),
        ]
    )
    preset = preset_cell("model1")
    [batch_norm] = find_factors(["batch_norm"])
    cells = [preset, preset.with_level(batch_norm, True), preset_cell("model2")]
    table = summary_table(cells, store.trials(), store.timings())
    assert table["cell"].tolist() == ["model1", "model1 batch_norm=on", "model2"]
    assert table["test acc %"].tolist()[:2] == pytest.approx([98.0, 50.0])
    assert table["sd"].iloc[0] == pytest.approx(1.0)
    assert table["n"].tolist() == [3, 1, 0]
    assert table["train img/s"].iloc[0] == 1280
    assert table["infer img/s"].iloc[0] == pytest.approx(1000)
    assert table["train img/s"].iloc[1:].isna().all()
    assert outcome_counts(store.trials()) == {"done": 4, "diverged": 1, "failed": 0}

    lines = render(table).splitlines()
    assert lines[3].split() == ["model1", "98.00", "1.00", "3", "7,616", "1,280", "1,000"]
    assert max(map(len, lines)) <= 80


def rates_tried(accuracies: dict[float, list[float | None]], val: int) -> pd.DataFrame:
    """Rows of one model with a seed each; None diverged."""
    return pd.DataFrame(
        [
            {"scheduler": "step", "batch_norm": "on", "augmentation": "basic", "lr": lr, "val_accuracy": accuracy}
            | {"status": "done" if accuracy else "diverged", "architecture": "model3", "seed": seed, "val": val}
            for lr, of_rate in accuracies.items()
            for seed, accuracy in enumerate(of_rate)
        ]
    )


def test_selection_takes_the_lowest_of_tied_rates_and_counts_divergence_as_chance() -> None:
    tried: dict[float, list[float | None]] = {
        0.003: [0.98, 0.98],
        0.01: [0.99 - TIE / 2] * 2,
        0.03: [0.99, 0.99],
        0.1: [1.0, None],
    }
    for classes in (10, 4):
        table = rate_table(rates_tried(tried, val=5000), classes)
        assert table["first"].tolist() == [False, True, False, False]
        assert table["accuracy"].iloc[-1] == pytest.approx((1 + 1 / classes) / 2)
        # Of 5,000 images 0.98 is surely less than 0.99; a rate at which a trial diverged ties with none that has none.
        assert table["verdict"].tolist() == ["", "tied", "tied", ""]
    assert "Not settled" in render_selection(table)


def test_a_choice_is_one_that_the_images_and_the_seeds_tell() -> None:
    def verdicts(tried: dict[float, list[float | None]], val: int) -> list[str]:
        return rate_table(rates_tried(tried, val), classes=10)["verdict"].tolist()

    assert verdicts({0.01: [0.98], 0.03: [0.99]}, val=5000) == ["", "chosen"]
    assert verdicts({0.01: [0.98], 0.03: [0.99]}, val=100) == ["tied", "tied"]
    assert verdicts({0.01: [0.98, 0.99, 0.97], 0.03: [0.99, 0.979, 0.995]}, val=10**6) == ["tied", "tied"]
    assert verdicts({0.01: [0.98, 0.98, 0.98], 0.03: [0.99, 0.991, 0.989]}, val=10**6) == ["", "chosen"]
    assert verdicts({0.01: [0.08], 0.03: [0.12]}, val=74) == ["chance", "chance"]
    settled = rate_table(rates_tried({0.01: [0.98], 0.03: [0.99]}, val=5000), classes=10)
    assert "Not settled" not in render_selection(settled)


def test_timing_rows_have_the_columns_that_tables_read() -> None:
    assert {"metric", "architecture", "augmentation", "images", "seconds"} <= set(columns(TimingRow))
