"""From evidence to effects, factorials, attributions, costs and curves."""

import base64
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench.plan.catalogue import find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.keys import Parts
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.report.evidence import BitsError, gather
from bench.report.report import Report
from bench.report.sections import draw_charts, mcnemar
from bench.report.sections.cells.results import cell_results, preset_results
from bench.report.sections.combinations.attributions import attributions
from bench.report.sections.combinations.factorials import factorials
from bench.report.sections.confusion.counts import ConfusionError, confusions
from bench.report.sections.effects.measured import effects
from bench.report.sections.effects.table import effect_table
from bench.report.sections.hardest import hardest_images
from bench.report.sections.hardest.chart import ImageError
from bench.report.sections.presets import preset_steps
from bench.report.sections.progress.curves import learning_curves
from bench.report.stats.paired import compare
from bench.report.stats.verdict import Verdict
from bench.run.rows import Named, confusion_row
from bench.train.data import Split
from bench.train.outcome import Outcome
from tests.synthetic import write_rows

MODEL1 = preset_cell("model1")
BATCH_NORM, GAP, DROPOUT, AUGMENTATION, SCHEDULER = find_factors(
    ["batch_norm", "gap", "dropout", "augmentation", "scheduler"]
)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Report:
    store = write_rows(tmp_path_factory.mktemp("rows") / "mnist")
    return Report(gather(store, "mnist"), 0.0005)


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def analysis_of(folder: Path, accuracies: dict[Cell, list[float]]) -> Report:
    store = write_rows(folder / "mnist", images=10_000, accuracies=accuracies)
    return Report(gather(store, "mnist"), 0.0005)


def test_an_effect_is_with_minus_without_whichever_is_the_preset(tmp_path: Path) -> None:
    model2 = preset_cell("model2")
    analysis = analysis_of(
        tmp_path,
        {
            MODEL1: [0.980, 0.981, 0.983],
            MODEL1.with_level(BATCH_NORM, True): [0.990, 0.992, 0.993],
            model2: [0.991, 0.990, 0.992],
            model2.with_level(BATCH_NORM, False): [0.981, 0.982, 0.982],
        },
    )
    first, second = effects(analysis)
    for effect in (first, second):
        assert (effect.factor, effect.level, effect.without) == (BATCH_NORM, True, False)
        assert effect.treated.levels["batch_norm"]
        assert effect.verdict == Verdict.HELPS
    assert first.comparison == compare(by_seed(0.990, 0.992, 0.993), by_seed(0.980, 0.981, 0.983), 1e-4)
    assert second.comparison == compare(by_seed(0.991, 0.990, 0.992), by_seed(0.981, 0.982, 0.982), 1e-4)


def test_every_seed_is_compared(tmp_path: Path) -> None:
    gap = MODEL1.with_level(GAP, True)
    analysis = analysis_of(tmp_path, {MODEL1: [0.98, 0.981, 0.983, 0.99], gap: [0.99, 0.992]})
    [effect] = effects(analysis)
    assert effect.comparison == compare(by_seed(0.99, 0.992), by_seed(0.98, 0.981, 0.983, 0.99), 1e-4)
    assert effect.comparison.difference.mean == pytest.approx(0.991 - 0.9835)
    assert [seed for seed, _ in mcnemar.by_seed(analysis, effect)] == [0, 1]


def test_one_seed_settles_nothing(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, {MODEL1: [0.98], MODEL1.with_level(GAP, True): [0.99]})
    [effect] = effects(analysis)
    assert effect.verdict == Verdict.INCONCLUSIVE
    assert effect.smallest_found is None
    assert effect.seeds_needed is None


def test_all_effects_of_a_report_are_one_family(everything: Report) -> None:
    family = len(effects(everything))
    assert family > 15
    smallest = min(effect.comparison.difference.p for effect in effects(everything))
    assert min(effect.judgement.p for effect in effects(everything)) == pytest.approx(min(1, family * smallest))


def test_the_effects_the_cells_and_the_steps_tell_one_story(everything: Report) -> None:
    means = {result.cell: result.accuracy.mean for result in cell_results(everything)}
    for effect in effects(everything):
        assert effect.comparison.difference.mean == pytest.approx(means[effect.treated] - means[effect.baseline])
    for step in preset_steps(everything):
        before, after = preset_cell(step.start), preset_cell(step.end)
        assert step.comparison.difference.mean == pytest.approx(means[after] - means[before])
    for attribution in attributions(everything):
        assert attribution.layers is not None
        whole = sum(share.mean for share in attribution.shares.values()) + attribution.layers.mean
        before, after = preset_cell(attribution.start), preset_cell(attribution.end)
        assert whole == pytest.approx(means[after] - means[before])


def test_three_levels_are_compared_with_the_preset(everything: Report) -> None:
    pairs = [
        (effect.level, effect.without)
        for effect in effects(everything)
        if effect.architecture == "model3" and effect.factor == AUGMENTATION
    ]
    assert sorted(pairs) == [("advanced", "basic"), ("advanced", "none")]


def test_factorials_are_found_by_themselves(everything: Report) -> None:
    names = {(f.architecture, tuple(factor.name for factor in f.factors)) for f in factorials(everything)}
    assert names == {
        ("model1", ("batch_norm", "gap", "dropout")),
        ("model3", ("augmentation", "scheduler")),
    }
    model3 = next(f for f in factorials(everything) if f.architecture == "model3")
    assert [(e.factor, e.level) for e in model3.effects] == [(0, "basic"), (0, "advanced"), (1, "onecycle")]
    assert len(model3.interactions) == 2
    assert model3.seeds == 5


def test_a_level_that_is_only_toggled_takes_no_factorial_away(tmp_path: Path) -> None:
    """As one that joins a factor whose other levels were combined before."""
    scheduled = [MODEL1.with_level(SCHEDULER, level) for level in SCHEDULER.levels]
    combined = [cell.with_level(GAP, on) for cell in scheduled if cell != scheduled[1] for on in (False, True)]
    analysis = analysis_of(tmp_path, {cell: [0.98, 0.981] for cell in [*combined, scheduled[1]]})
    [factorial] = factorials(analysis)
    assert factorial.factors == (GAP, SCHEDULER)
    assert factorial.levels == ((False, True), ("step", "onecycle"))
    whole = {cell.with_level(GAP, on): [0.98, 0.981] for cell in scheduled for on in (False, True)}
    [factorial] = factorials(analysis_of(tmp_path / "whole", whole))
    assert factorial.levels == ((False, True), SCHEDULER.levels)


def test_a_missing_combination_makes_no_factorial(tmp_path: Path) -> None:
    cells = [MODEL1, MODEL1.with_level(GAP, True), MODEL1.with_level(BATCH_NORM, True)]
    analysis = analysis_of(tmp_path, {cell: [0.98, 0.981] for cell in cells})
    assert factorials(analysis) == ()


def test_a_gain_is_shared_out_and_the_layers_keep_theirs(tmp_path: Path) -> None:
    """Each technique adds 0.1 points to model1; model2's own layers add 0.05 on top."""
    accuracies: dict[Cell, list[float]] = {}
    for on in itertools.product((False, True), repeat=3):
        cell = MODEL1.with_level(BATCH_NORM, on[0]).with_level(GAP, on[1]).with_level(DROPOUT, 0.1 * on[2])
        accuracies[cell] = [0.98 + 0.001 * sum(on) + noise for noise in (0, 0.0002, 0.0004)]
    accuracies[preset_cell("model2")] = [0.9835, 0.9837, 0.9839]
    [attribution] = attributions(analysis_of(tmp_path, accuracies))
    assert {name: share.mean for name, share in attribution.shares.items()} == pytest.approx(
        {"batch_norm": 0.001, "gap": 0.001, "dropout": 0.001}
    )
    assert attribution.layers is not None
    assert attribution.layers.mean == pytest.approx(0.0005)
    assert attribution.start_accuracy == pytest.approx(0.9802)


def test_steps_name_what_changes_and_credit_nothing(everything: Report) -> None:
    first, second = preset_steps(everything)
    assert [factor.name for factor in first.factors] == ["batch_norm", "gap", "dropout"]
    assert [factor.name for factor in second.factors] == ["dropout", "augmentation", "scheduler"]
    assert first.published == pytest.approx(0.0029)


def test_published_differences_belong_to_their_data_set(tmp_path: Path) -> None:
    accuracies = {preset_cell(name): [0.9, 0.91] for name in ("model1", "model2")}
    store = write_rows(tmp_path / "digits", dataset="digits", accuracies=accuracies)
    [step] = preset_steps(Report(gather(store, "digits"), 0.0005))
    assert step.published is None


def test_costs_stand_beside_gains(everything: Report) -> None:
    """The made-up rows are a tenth slower with batch norm, 30 % with dropout, and the same under another schedule."""
    by_factor = {effect.factor: effect.cost for effect in effects(everything) if effect.architecture == "model1"}
    batch_norm, scheduler = by_factor[BATCH_NORM], by_factor[SCHEDULER]
    assert batch_norm.parameters == 144
    assert batch_norm.train_speed is not None
    assert batch_norm.train_speed.mean == pytest.approx(1 / 1.1, rel=0.05)
    assert batch_norm.train_speed.n == 5
    assert scheduler.train_speed is not None
    assert scheduler.train_speed.mean == 1
    dropout = by_factor[DROPOUT].inference_speed
    assert dropout is not None
    assert dropout.high < 0.9


def test_speeds_of_other_rounds_make_no_ratio(tmp_path: Path) -> None:
    """Only model1 with dropout was timed in the preset's rounds."""
    cells = [MODEL1, MODEL1.with_level(BATCH_NORM, True), MODEL1.with_level(DROPOUT, 0.1)]
    write_rows(tmp_path / "mnist", cells=cells)
    path = tmp_path / "mnist" / "timings.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.loc[rows["batch_norm"] == "on", "run"] = "another"
    rows.to_csv(path, index=False)
    analysis = Report(gather(Store(tmp_path / "mnist"), "mnist"), 0.0005)
    apart, together = effects(analysis)
    assert (apart.factor, together.factor) == (BATCH_NORM, DROPOUT)
    assert apart.cost.train_speed is None
    assert apart.cost.inference_speed is None
    assert together.cost.train_speed is not None
    assert together.cost.train_speed.n == 5
    for row, speed in zip(effect_table(analysis).texts, ("", "%"), strict=True):
        assert speed in row[-2]
        assert bool(row[-2]) == bool(speed)


def test_speeds_of_another_code_or_machine_are_not_mixed_in(tmp_path: Path) -> None:
    store = write_rows(tmp_path / "mnist", [MODEL1], seeds=2)
    before = cell_results(Report(gather(store, "mnist"), 0.0005))[0].cost
    path = store.folder / "timings.csv"
    lines = path.read_text().splitlines()
    strangers = [line.rsplit(",", 2)[0] + end for line in lines[1:4] for end in (",other,m", ",c,m2")]
    path.write_text("\n".join([*lines, *strangers]) + "\n")
    assert cell_results(Report(gather(store, "mnist"), 0.0005))[0].cost == before


def test_curves_end_where_the_accuracies_are(everything: Report) -> None:
    results = {result.cell: result for result in cell_results(everything)}
    assert len(learning_curves(everything)) == len(cell_results(everything))
    for curve in learning_curves(everything):
        assert curve.n == 5
        assert curve.points["test"].iloc[-1] == pytest.approx(results[curve.cell].accuracy.mean)
        assert (curve.points["low"] <= curve.points["test"]).all()


def test_confusions_count_every_image_of_every_trial(everything: Report) -> None:
    results = {result.cell: result for result in cell_results(everything)}
    for confusion in confusions(everything):
        assert confusion.counts.sum() == 2000 * confusion.n
        assert np.trace(confusion.counts) / (2000 * confusion.n) == pytest.approx(results[confusion.cell].accuracy.mean)


def test_only_published_models_have_confusions(everything: Report) -> None:
    assert [confusion.cell for confusion in confusions(everything)] == [
        result.cell for result in preset_results(everything)
    ]


def with_counts(folder: Path, classes: int, counts: str) -> Store:
    store = write_rows(folder / "mnist", [MODEL1], seeds=2, images=100)
    header, first, second = (store.folder / "confusion.csv").read_text().splitlines()
    lines = [header, f"{first.split(',')[0]},{classes},{counts}", f"{second.split(',')[0]},{classes},{counts}"]
    (store.folder / "confusion.csv").write_text("\n".join(lines) + "\n")
    return store


def test_pairs_that_occurred_say_the_same_as_a_number_for_every_pair(tmp_path: Path) -> None:
    """Older rows have the long form; one file may hold both."""
    dense = gather(with_counts(tmp_path / "a", 3, "5 0 1 0 4 0 2 0 3"), "mnist")
    named = gather(with_counts(tmp_path / "b", 3, "0:0:5 0:2:1 1:1:4 2:0:2 2:2:3"), "mnist")
    [one], [other] = confusions(Report(dense, 0.0005)), confusions(Report(named, 0.0005))
    assert one.counts.tolist() == other.counts.tolist() == [[10, 0, 2], [0, 8, 0], [4, 0, 6]]
    assert one.n == other.n == 2


def test_a_thousand_classes_are_recorded_and_read_again(tmp_path: Path) -> None:
    """A number for every pair is longer than a field may be."""
    store = write_rows(tmp_path / "mnist", [MODEL1], seeds=1, images=100)
    generator = np.random.default_rng(0)
    labels = generator.integers(1000, size=10_000)
    predicted = np.where(generator.random(10_000) < 0.5, labels, generator.integers(1000, size=10_000))
    protocol = Protocol("mnist")
    trial = Trial(MODEL1, 0, protocol)
    test = Split(torch.zeros((len(labels), 1, 1, 1)), torch.from_numpy(labels))
    outcome = Outcome("done", (), tuple(predicted.tolist()), 1.0)
    key = str(store.trials()["trial"].iloc[0])
    row = confusion_row(Named(trial, key, Parts("n", "t", "d"), {}), outcome, test, 1000)
    path = store.folder / "confusion.csv"
    path.unlink()
    store._append(path, [row])
    [confusion] = confusions(Report(gather(store, "mnist"), 0.0005))
    expected = np.zeros((1000, 1000), dtype=int)
    np.add.at(expected, (labels, predicted), 1)
    assert (confusion.counts == expected).all()


@pytest.mark.parametrize(
    "counts",
    [
        "1 2",
        "a b c d",
        "0:0:1 0:9:1",
        "0:0",
        "0:-1:1",
        "1 -1 1 1",
        "0:0:1 0:1:x",
        "1 1 1 1e3",
        "0:0:1:1",
        f"{2**62} {2**62} 0 0",
    ],
)
def test_counts_that_cannot_be_are_answered_with_a_way_out(tmp_path: Path, counts: str) -> None:
    evidence = gather(with_counts(tmp_path, 2, counts), "mnist")
    with pytest.raises(ConfusionError, match=r"confusion\.csv has counts of trial \w+ that are not those of 2 classes"):
        list(confusions(Report(evidence, 0.0005)))


def test_counts_of_different_classes_are_not_added_up(tmp_path: Path) -> None:
    store = with_counts(tmp_path, 2, "1 0 0 1")
    path = store.folder / "confusion.csv"
    header, first, second = path.read_text().splitlines()
    path.write_text("\n".join([header, first, second.replace(",2,1 0 0 1", ",1,4")]) + "\n")
    with pytest.raises(ConfusionError, match=r"confusion\.csv has 1 and 2 classes for trials of model1"):
        list(confusions(Report(gather(store, "mnist"), 0.0005)))


@pytest.mark.parametrize(
    ("images", "text", "problem"),
    [
        (100, "!!!!", "are no base64"),
        (100, "AAA", "are no base64"),
        (100, "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "are no base64"),
        (100, "AAAA", "are 3 bytes, not the 13 of 100 test images"),
        (100, "AAAA" * 10, "are 30 bytes, not the 13 of 100 test images"),
        (24, "AAAA", "are of 24 test images, and those of other trials of 100"),
        (10**12, "AAAA", "are 3 bytes, not the 125000000000 of 1000000000000 test images"),
    ],
)
def test_bits_that_cannot_be_are_answered_with_a_way_out(tmp_path: Path, images: int, text: str, problem: str) -> None:
    store = write_rows(tmp_path / "mnist", [MODEL1], seeds=3, images=100)
    path = store.folder / "correct.csv"
    *good, bad = path.read_text().splitlines()
    trial = bad.split(",")[0]
    path.write_text("\n".join([*good, f"{trial},{images},{text}"]) + "\n", encoding="utf-8")
    evidence = gather(store, "mnist")
    for asked in (lambda: evidence.hardest_images(3), lambda: evidence.bits(MODEL1)):
        with pytest.raises(BitsError, match=re.escape(f"correct.csv has bits of trial {trial} that {problem}")):
            asked()


@pytest.mark.parametrize("png", ["!!!!", "AAAA", base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()])
def test_an_image_that_is_none_is_answered_with_a_way_out(tmp_path: Path, png: str) -> None:
    store = write_rows(tmp_path / "mnist", [MODEL1], seeds=2, images=100)
    path = store.folder / "images.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{line.rpartition(',')[0]},{png}" for line in lines)]) + "\n")
    with pytest.raises(ImageError, match=r"images\.csv has no PNG of image \d+"):
        list(draw_charts(Report(gather(store, "mnist"), 0.0005)))


def test_a_curve_is_over_the_seeds_that_recorded_an_epoch(tmp_path: Path) -> None:
    store = write_rows(tmp_path / "mnist", [MODEL1], seeds=3)
    path = store.folder / "epochs.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], *lines[6:]]))  # the first seed's fifth epoch
    [curve] = learning_curves(Report(gather(store, "mnist"), 0.0005))
    fifth = np.asarray(curve.seeds.loc[5], dtype=float)
    assert np.isnan(fifth).tolist() == [True, False, False]
    assert curve.points["test"].loc[5] == pytest.approx(np.nanmean(fifth))
    assert curve.points["train"].notna().all()


def test_hard_images_have_their_picture(everything: Report) -> None:
    assert len(hardest_images(everything)) == 24
    assert all(image.png is not None and image.label is not None for image in hardest_images(everything))
