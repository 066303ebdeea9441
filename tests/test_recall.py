"""What accuracy hides where classes are of unequal size: recall by class, balanced accuracy, and that it is said."""

from pathlib import Path

import numpy as np
import pytest

from bench.plan.cells import preset_cell
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import caveats, make_tables
from bench.report.sections.confusion import chart as confusion_chart
from bench.report.sections.confusion.recalls import _all_by_class, _by_class, recalls
from bench.report.sections.presets import preset_sentences
from bench.report.show.style import applied
from tests.synthetic import write_rows

MODEL = preset_cell("model1")

# Two seeds: classes 2 to 6 are taken for the large ones; 87 and 85 of 100 images are recognised.
SEEDS = (
    "0:0:60 0:1:2 1:1:27 1:0:2 2:0:3 3:0:2 4:1:2 5:0:1 6:1:1",
    "0:0:58 0:1:4 1:1:27 1:0:2 2:0:3 3:0:2 4:1:2 5:0:1 6:1:1",
)
NAMES = ("agate", "basalt", "chert", "dolomite", "flint", "gneiss", "jasper")


def store_of(folder: Path, counts: tuple[str, ...] = SEEDS, classes: int = 7) -> Store:
    store = write_rows(folder / "pebbles", [MODEL], len(counts), 100, "pebbles", {MODEL: np.array([0.87, 0.85])})
    trials = store.trials()["trial"].tolist()
    lines = [f"{trial},{classes},{text}" for trial, text in zip(trials, counts, strict=True)]
    (store.folder / "confusion.csv").write_text("\n".join(["trial,classes,counts", *lines]) + "\n")
    return store


def analysis_of(store: Store) -> Report:
    return Report(gather(store, "pebbles"), 0.0005)


def named(store: Store) -> Store:
    store.add_class_names("d", NAMES)
    store.add_class_names("d", NAMES)  # once is enough
    return store


def test_balanced_accuracy_is_the_mean_of_the_classes_recalls(tmp_path: Path) -> None:
    [recall] = recalls(Report(gather(store_of(tmp_path), "pebbles"), 0.0005)).values()
    expected = [(60 / 62 + 27 / 29) / 7, (58 / 62 + 27 / 29) / 7]
    assert recall.balanced.mean == pytest.approx(np.mean(expected))
    assert recall.images.tolist() == [62, 29, 3, 2, 2, 1, 1]
    assert recall.never == [2, 3, 4, 5, 6]
    [first, *_] = recall.of_classes
    assert first is not None
    assert first.mean == pytest.approx((60 + 58) / 2 / 62)


def test_a_class_without_test_images_counts_in_no_mean(tmp_path: Path) -> None:
    counts = ("0:0:9 0:1:1 1:1:5", "0:0:8 0:1:2 1:1:5")
    [recall] = recalls(Report(gather(store_of(tmp_path, counts, classes=3), "pebbles"), 0.0005)).values()
    assert recall.balanced.mean == pytest.approx((0.85 + 1) / 2)
    assert recall.of_classes[2] is None
    assert recall.never == []
    assert recall.worst == 0


def test_87_percent_with_5_of_7_classes_never_recognised_is_said_at_the_top(tmp_path: Path) -> None:
    analysis = analysis_of(named(store_of(tmp_path)))
    [caveat] = [text for text in caveats(analysis) if "balanced" in text]
    assert "model1 86.00 % accuracy and 26.89 % balanced accuracy" in caveat
    assert "recognised 5 of 7 classes never: chert, dolomite, flint, gneiss and jasper" in caveat
    assert "every class counted alike it recognises 26.89 %, chert least, 0.00 %" in next(preset_sentences(analysis))


def test_nothing_is_said_where_both_accuracies_agree(tmp_path: Path) -> None:
    counts = ("0:0:45 0:1:5 1:1:45 1:0:5", "0:0:44 0:1:6 1:1:44 1:0:6")
    analysis = analysis_of(store_of(tmp_path, counts, classes=2))
    assert not [text for text in caveats(analysis) if "balanced" in text]
    assert "alike" not in next(preset_sentences(analysis))


def test_tables_and_chart_call_classes_by_their_names(tmp_path: Path) -> None:
    analysis = analysis_of(named(store_of(tmp_path)))
    tables = {table.name: table for table in make_tables(analysis)}
    assert [row["class"] for row in tables["recall"].rows] == list(NAMES)
    assert tables["cells"].rows[0]["balanced"] == pytest.approx(((60 / 62 + 58 / 62) / 2 + 27 / 29) / 7)
    with applied():
        chart = confusion_chart.draw(analysis)
    assert chart is not None
    assert [label.get_text() for label in chart.figure.axes[0].get_yticklabels()] == list(NAMES)
    assert "takes class chert for agate" in chart.alt


def test_without_names_classes_are_numbers_and_names_of_other_data_are_not_these(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.add_class_names("other data", NAMES)
    assert gather(store, "pebbles").class_names[:2] == ("0", "1")


@pytest.mark.parametrize("text", ["0:0:5 1:2:3 1:1:4 2:2:1", "5 0 0 0 4 3 0 0 1"])
def test_many_trials_at_once_are_counted_as_one_by_one(text: str) -> None:
    said = [(3, text), (3, text.replace("5", "9"))]
    together = _all_by_class(said)
    alone = [_by_class("trial", classes, own) for classes, own in said]
    assert together is not None
    assert [part.tolist() for part in together] == [[list(own) for own in part] for part in zip(*alone, strict=True)]
    for other in ((3, "0:3:1"), (2, "0:0:1"), (3, "1 2"), (3, "x"), (3, "")):
        assert _all_by_class([*said, other]) is None
