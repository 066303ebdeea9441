"""Charts made from made-up rows: all are drawn, the same every time, and nothing in them is cut."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from bench.plan.catalogue import catalogue, find_factors, using
from bench.plan.cells import preset_cell
from bench.plan.designs import factorial, toggles
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts
from bench.report.sections.cells.results import cell_results, preset_results
from bench.report.sections.confusion import chart as confusion_chart
from bench.report.sections.confusion.counts import Confusion, confusions
from bench.report.sections.effects.measured import effects
from bench.report.show.chart import Chart, save
from bench.report.show.fold import fold
from bench.report.show.style import applied, draw_interval, seeds_words, settle, spread
from bench.report.stats.estimate import Estimate, estimate
from bench.run.networks import layers_today
from tests import synthetic
from tests.perf.rows import many_models

# One process draws what all of these look at.
pytestmark = pytest.mark.xdist_group("charts")

ARCHITECTURES = catalogue().architectures
FACTORS = synthetic.FACTORS

EVERY_CHART = [
    "effects",
    "interactions",
    "shapley",
    "pareto",
    "cells",
    "curves",
    "receptive_field",
    "schedules",
    "confusion",
    "hardest",
    "speed",
    "overhead",
]


@dataclass(frozen=True)
class Drawn:
    analysis: Report
    charts: dict[str, Chart]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    techniques = find_factors(["batch_norm", "gap", "dropout"])
    cells = [*factorial(["model1"], techniques), preset_cell("model2"), *toggles(["model3"], FACTORS)]
    return drawn(synthetic.write_rows(tmp_path_factory.mktemp("full") / "mnist", cells, seeds=3, images=10_000))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Without batch norm one seed in two is at chance."""
    at_chance, good = (0.1, 0.55), (0.97, 0.985)
    accuracies = {cell: good if cell.levels["batch_norm"] else at_chance for cell in synthetic.all_cells()}
    store = synthetic.write_rows(tmp_path_factory.mktemp("wide") / "mnist", images=200, accuracies=accuracies)
    return drawn(store)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    """17 models with every toggle, a factorial of each, and one with every combination of them but for a schedule."""
    with using(many_models(72 * 17)):
        names = catalogue().models
        combined = [cell for cell in factorial(names[:1], FACTORS) if cell.levels["scheduler"] != "cosine"]
        cells = [*toggles(names, FACTORS), *factorial(names, FACTORS[:3]), *combined]
        store = synthetic.write_rows(tmp_path_factory.mktemp("many") / "mnist", cells, seeds=2, images=200)
        yield drawn(store)


@pytest.fixture(params=["full", "wide"])
def either(request: pytest.FixtureRequest) -> Drawn:
    result: Drawn = request.getfixturevalue(request.param)
    return result


def drawn(store: Store) -> Drawn:
    analysis = Report(gather(store, "mnist"), 0.0005, layers_today)
    return Drawn(analysis, {chart.name: chart for chart in draw_charts(analysis)})


def test_every_chart_is_drawn_in_reading_order(either: Drawn) -> None:
    assert list(either.charts) == EVERY_CHART


@pytest.mark.slow
def test_charts_are_written_as_the_same_bytes_every_time(full: Drawn, tmp_path: Path) -> None:
    files = written(full.charts.values(), tmp_path / "first")
    assert sorted(files) == sorted(f"{name}.{ending}" for name in EVERY_CHART for ending in ("svg", "png"))
    assert written(draw_charts(full.analysis), tmp_path / "drawn again") == files
    assert not pyplot.get_fignums()
    again = written([full.charts["pareto"]], tmp_path / "written again")
    assert again == {name: files[name] for name in ("pareto.svg", "pareto.png")}
    save(full.charts["pareto"], tmp_path)
    assert [path.name for path in tmp_path.glob("*.*")] == ["pareto.svg"]


def test_charts_of_many_cells_show_the_most_telling_and_say_where_the_rest_is(many: Drawn) -> None:
    assert list(many.charts) == EVERY_CHART
    analysis, charts = many.analysis, many.charts
    assert len(cell_results(analysis)) > 200
    folded = {
        "cells": f"40 of {len(cell_results(analysis))} cells",
        "curves": "12 of 17 models",
        "interactions": "6 of 17 sets of combinations",
        "confusion": "6 of 17 models",
    }
    for name, words in folded.items():
        assert f"Shown are {words}" in charts[name].caption, name
    assert "tables/cells.csv beside the charts has them all" in charts["cells"].caption
    assert re.search(r"Shown are \d+ of \d+ lines of models, the surest of each", charts["effects"].caption)
    for name, least in (("effects", 30), ("cells", 40), ("interactions", 30)):
        rows = [len(axes.get_yticks()) for axes in charts[name].figure.axes]
        assert least <= sum(rows) <= 40, name
    for chart in charts.values():
        assert chart.figure.get_size_inches()[1] < 25, chart.name


def test_no_text_is_cut_or_tiny_where_there_are_many_cells(many: Drawn) -> None:
    for chart in many.charts.values():
        assert not cut_texts(chart.figure), chart.name
        assert min(float(text.get_fontsize()) for text in shown_texts(chart.figure)) >= 6, chart.name


def test_the_best_cells_and_the_published_models_are_the_ones_shown(many: Drawn) -> None:
    means = sorted(result.accuracy.mean * 100 for result in cell_results(many.analysis))
    shown = [
        float(np.asarray(line.get_xdata())[0])
        for axes in many.charts["cells"].figure.axes
        for line in axes.lines
        if line.get_marker() == "|"
    ]
    assert max(shown) == pytest.approx(means[-1])
    presets = {round(result.accuracy.mean * 100, 9) for result in preset_results(many.analysis)}
    assert presets <= {round(place, 9) for place in shown}


def test_a_front_joins_the_cells_that_no_other_beats(many: Drawn) -> None:
    chart = many.charts["pareto"]
    assert "none is both better and cheaper" in chart.caption
    [front] = [line for line in chart.figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    costs, means = (np.asarray(data, dtype=float) for data in front.get_data())
    assert (np.diff(costs) > 0).all()
    assert (np.diff(means) > 0).all()
    for result in cell_results(many.analysis):
        cheaper = means[costs <= result.cost.parameters]
        assert result.accuracy.mean * 100 <= cheaper.max() + 1e-9


@pytest.mark.parametrize(("classes", "panels"), [(10, 6), (15, 3), (100, 6), (1000, 6)])
def test_any_number_of_classes_can_be_read(full: Drawn, classes: int, panels: int) -> None:
    generator = np.random.default_rng(0)
    counts = np.diag(np.full(classes, 90)) + (generator.random((classes, classes)) < 0.02) * 3
    preset = preset_results(full.analysis)[0]
    several = full.analysis.supposing(confusions, (Confusion(preset.cell, counts, 3),) * 7)
    with applied():
        chart = confusion_chart.draw(several)
        assert chart is not None
        settle(chart.figure)
    assert f"Shown are {panels} of 7 models" in chart.caption
    assert not cut_texts(chart.figure)
    assert min(float(text.get_fontsize()) for text in shown_texts(chart.figure)) >= 6
    assert len(list(shown_texts(chart.figure))) < 1000
    for axes in chart.figure.axes:
        boxes = sorted((label.get_window_extent() for label in shown_labels(axes.yaxis)), key=lambda box: box.y0)
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_the_most_frequent_mistakes_come_first() -> None:
    counts = np.diag(np.full(30, 97))
    counts[4, 7], counts[2, 9] = 3, 2
    axes = Figure().subplots()
    confusion_chart._draw_pairs(axes, Confusion(preset_cell("model1"), counts, 1), list(map(str, range(30))))
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "4 \N{RIGHTWARDS ARROW} 7",
        "2 \N{RIGHTWARDS ARROW} 9",
    ]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [bar.get_width() for bar in bars] == pytest.approx([3.0, 200 / 99])


def test_what_is_folded_keeps_its_order() -> None:
    assert fold([3, 1, 2], 3, abs, what="numbers", first="the largest") == ([3, 1, 2], "")
    shown, words = fold([3, 1, 4, 2], 2, abs, what="numbers", first="the largest", table="all")
    assert shown == [3, 4]
    assert words == " Shown are 2 of 4 numbers: the largest; tables/all.csv beside the charts has them all."


def test_sparse_rows_give_the_charts_that_they_can(tmp_path: Path) -> None:
    store = synthetic.write_rows(tmp_path / "mnist", list(toggles(["model2"], FACTORS)), seeds=1, images=200)
    for name in ("epochs", "timings", "confusion", "correct", "images", "speed", "overhead"):
        (tmp_path / "mnist" / f"{name}.csv").unlink()
    charts = drawn(store).charts
    assert list(charts) == ["effects", "pareto", "cells", "receptive_field"]
    assert len(charts["pareto"].figure.axes) == 1
    for name in ("effects", "cells", "pareto"):
        assert "(1 seed)" in charts[name].caption
        assert "no interval" in charts[name].caption
        assert not cut_texts(charts[name].figure)


def test_a_cell_that_is_no_preset_is_drawn_alone(tmp_path: Path) -> None:
    [batch_norm] = find_factors(["batch_norm"])
    cell = preset_cell("model1").with_level(batch_norm, True)
    alone = drawn(synthetic.write_rows(tmp_path / "mnist", [cell], seeds=2, images=200))
    assert list(alone.charts) == ["pareto", "cells", "schedules", "hardest", "speed", "overhead"]


def test_no_text_is_cut_and_no_tick_labels_overlap(either: Drawn) -> None:
    for chart in either.charts.values():
        assert not cut_texts(chart.figure), chart.name
        for axes in chart.figure.axes:
            across = [label.get_window_extent() for label in shown_labels(axes.xaxis)]
            along = [label.get_window_extent() for label in shown_labels(axes.yaxis)]
            for boxes in (sorted(across, key=lambda box: box.x0), sorted(along, key=lambda box: box.y0)):
                assert not any(one.overlaps(other) for one, other in pairwise(boxes)), chart.name


def test_every_seed_of_every_cell_is_in_sight(either: Drawn) -> None:
    dots = [dot for axes in either.charts["cells"].figure.axes for dot in dots_within(axes)]
    accuracies = [accuracy * 100 for result in cell_results(either.analysis) for accuracy in result.accuracies]
    assert sorted(dots) == pytest.approx(sorted(accuracies))


def test_every_seed_of_every_effect_is_in_sight(either: Drawn) -> None:
    panels = either.charts["effects"].figure.axes
    dots = [dot for axes in panels for dot in dots_within(axes)]
    differences = [effect.comparison.difference for effect in effects(either.analysis)]
    assert len(dots) == sum(difference.n for difference in differences)
    assert np.mean(dots) == pytest.approx(np.mean([difference.mean * 100 for difference in differences]))


def test_marks_keep_clear_of_the_axis_ends(either: Drawn) -> None:
    for axes in either.charts["shapley"].figure.axes:
        low, high = axes.get_xlim()
        places = np.concatenate([np.asarray(line.get_xdata()) for line in axes.lines])
        assert low < places.min()
        assert places.max() < high


def test_captions_and_figures_say_how_many_there_are(full: Drawn, wide: Drawn) -> None:
    """A figure says it too: it may be shown without its caption."""
    for rows, seeds in ((full, 3), (wide, 2)):
        said = {
            name: "\n".join(text.get_text() for text in shown_texts(rows.charts[name].figure)) for name in EVERY_CHART
        }
        for name in {*EVERY_CHART} - {"schedules", "receptive_field", "hardest", "speed", "overhead"}:
            assert f"({seeds} seeds)" in rows.charts[name].caption, name
            assert f", {seeds} seeds" in said[name], name
        assert f"{len(rows.analysis.evidence.trials)} trials" in rows.charts["hardest"].caption
        for name, what in {"hardest": "trials", "speed": "rounds", "overhead": "rounds"}.items():
            assert re.search(rf"\b[0-9]+ {what}\b", said[name]), name


def test_only_a_wide_range_stretches_the_axis(full: Drawn, wide: Drawn) -> None:
    for name in ("cells", "pareto"):
        assert "widens" in wide.charts[name].caption
        assert "widens" not in full.charts[name].caption


def test_captions_say_where_intervals_were_cut(full: Drawn, wide: Drawn) -> None:
    for name in ("effects", "cells", "curves", "pareto", "shapley"):
        assert re.search("arrow ends an interval|Intervals are cut", wide.charts[name].caption), name
        assert not re.search("arrow ends an interval|Intervals are cut", full.charts[name].caption), name


@pytest.mark.parametrize(("low", "high", "drawn", "cut"), [(0.2, 0.4, [20, 40], False), (-0.1, 1.2, [0, 100], True)])
def test_an_interval_ends_where_accuracies_do(low: float, high: float, drawn: list[float], cut: bool) -> None:
    axes = Figure().subplots()
    assert draw_interval(axes, Estimate(0.3, 0.1, low, high, 3, 0.2, 0.4), at=0) is cut
    assert axes.lines[0].get_xdata() == pytest.approx(drawn)
    assert len(axes.lines) == (3 if cut else 1)


def test_without_an_interval_none_is_drawn() -> None:
    axes = Figure().subplots()
    assert not draw_interval(axes, estimate([0.5]), at=0)
    assert not axes.lines


def test_places_are_spread_without_changing_their_order() -> None:
    assert spread([3.0, 1.0, 1.5], 1.0) == [3.0, 1.0, 2.0]
    assert spread([1.0, 1.0, 1.0], 0.5) == [1.0, 1.5, 2.0]


def test_seeds_in_words() -> None:
    assert seeds_words([1]) == "1 seed"
    assert seeds_words([5, 5]) == "5 seeds"
    assert seeds_words([5, 3, 4]) == "3 to 5 seeds"


def written(charts: Iterable[Chart], folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    for chart in charts:
        save(chart, folder, png=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def cut_texts(figure: Figure) -> list[str]:
    """The texts that reach over the figure's edge when it is drawn as it is written."""
    with applied():
        figure.draw_without_rendering()
    seen = [text for text in shown_texts(figure) if text.get_text().strip()]
    assert seen
    page = figure.bbox.padded(0.5)
    boxes = [(text.get_text(), text.get_window_extent()) for text in seen]
    return [text for text, box in boxes if not (page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1))]


def shown_texts(figure: Figure) -> Iterator[Text]:
    for legend in figure.legends:
        yield from legend.get_texts()
    yield from figure.texts
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        yield from axes.texts
        yield axes.title
        yield axes._left_title  # type: ignore[attr-defined]  # there is no public way to the left title
        if (own := axes.get_legend()) is not None:
            yield from own.get_texts()
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                yield axis.label
                yield from shown_labels(axis)


def shown_labels(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    labels = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [label for label in labels if label.get_visible() and label.get_text()]


def dots_within(axes: Axes) -> list[float]:
    """The places along x of an axes' seeds that lie within its limits."""
    low, high = axes.get_xlim()
    places = [place for dots in axes.collections for place in np.asarray(dots.get_offsets())[:, 0]]
    return [float(place) for place in places if low <= place <= high]
