"""Axes of numbers: what is drawn along them, and that a report without them is as it was."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.plan.catalogue import built_in, catalogue, using
from bench.plan.cells import preset_cell
from bench.plan.designs import toggles
from bench.plan.protocol import Protocol
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import caveats, draw_charts, make_tables
from bench.report.sections.cells.results import cell_results, preset_results
from bench.report.sections.effects.measured import effects
from bench.report.sections.progress.curves import learning_curves
from bench.report.sections.sweeps.lines import Sweep, sweeps
from bench.studies.load import load_study
from tests import synthetic
from tests.fake_rows import write_rows

FAKE = str(Path(__file__).parent / "fake.py")


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """Every toggle of the fake study, and its presets at a rate, a batch size and a number of epochs more."""
    folder = tmp_path_factory.mktemp("sweeps")
    with using(load_study(FAKE)):
        data = next(iter(catalogue().datasets.values())).load(Path("unused"))
        cells = list(dict.fromkeys(toggles(["otter", "heron"], catalogue().factors)))
        protocol = Protocol("pebbles", epochs=2, batch_size=32)
        store = write_rows(folder / "pebbles", cells, 3, protocol, data)
        presets = [preset_cell("otter"), preset_cell("heron")]
        for number, other in enumerate(
            (replace(protocol, lr=0.3), replace(protocol, batch_size=16), replace(protocol, epochs=4))
        ):
            more = write_rows(folder / f"more{number}", presets, 2, other, data)
            _join(store, more)
        yield Report(gather(store, "pebbles"), 0.0005)


def _join(store: Store, more: Store) -> None:
    for path in more.folder.glob("*.csv"):
        if path.name not in ("classes.csv", "parts.csv"):
            header, *lines = path.read_text().splitlines(keepends=True)
            assert (store.folder / path.name).read_text().startswith(header)
            with (store.folder / path.name).open("a") as file:
                file.writelines(lines)


def test_a_factor_of_three_numbers_and_a_protocol_with_several_are_axes(analysis: Report) -> None:
    found = {sweep.axis: sweep for sweep in sweeps(analysis)}
    assert list(found) == ["width", "smoothing", "learning rate", "batch size", "epochs"]
    assert values(found["width"], "otter") == ([4, 8, 16], 8)
    assert values(found["width"], "heron") == ([4, 8, 16], 4)
    assert values(found["learning rate"], "otter") == ([0.01, 0.3], None)
    assert values(found["batch size"], "otter") == ([16, 32], None)
    assert values(found["epochs"], "otter") == ([2, 4], None)


def values(sweep: Sweep, architecture: str) -> tuple[list[float], float | None]:
    [line] = [line for line in sweep.lines if line.architecture == architecture]
    return [value for value, _ in line.points], line.preset


def test_each_axis_is_a_panel_and_its_values_rows(analysis: Report) -> None:
    charts = {chart.name: chart for chart in draw_charts(analysis)}
    tables = {table.name: table for table in make_tables(analysis)}
    titles = [axes.get_title(loc="left") for axes in charts["sweeps"].figure.axes if axes.get_visible()]
    assert titles == ["Width", "Smoothing", "Learning rate", "Batch size", "Epochs"]
    [preset] = [
        row
        for row in tables["sweeps"].rows
        if (row["axis"], row["model"], row["preset"]) == ("width", "otter", "preset")
    ]
    assert preset["value"] == 8
    [result] = [result for result in preset_results(analysis) if result.cell.architecture == "otter"]
    assert preset["accuracy"] == result.accuracy.mean


def test_what_a_factor_of_the_study_trains_with_is_compared_with_what_nothing_changed(analysis: Report) -> None:
    """Its loop is another, and so is its loss: that is what the level says, and no other protocol."""
    assert {"smoothing", "noise"} < {effect.factor.name for effect in effects(analysis)}
    assert not [text for text in caveats(analysis) if "Not tried" in text]
    assert len(cell_results(analysis)) == 26


def test_every_other_level_is_an_effect_named_as_what_it_replaces(analysis: Report) -> None:
    otter = [effect.technique for effect in effects(analysis) if effect.architecture == "otter"]
    assert [name for name in otter if "width" in name] == ["width 8 instead of width 4", "width 16 instead of width 8"]
    assert [name for name in otter if "noise" in name] == ["noise weak", "noise strong"]


def test_cells_that_share_their_trials_have_a_curve_each(tmp_path: Path) -> None:
    """Two names of one network: a trial is trained once, and both cells have its row."""
    with using(built_in()):
        first = preset_cell("model1")
        store = synthetic.write_rows(tmp_path / "mnist", [first], seeds=2, images=100)
        path = store.folder / "trials.csv"
        header, *lines = path.read_text().splitlines(keepends=True)
        shared = [line.replace("model1", "model2") for line in lines]
        path.write_text("".join([header, *lines, *shared]))
        curves = {curve.cell.architecture: curve for curve in learning_curves(Report(gather(store, "mnist"), 0.0005))}
        assert curves["model1"].seeds.equals(curves["model2"].seeds)
        assert curves["model2"].n == 2
