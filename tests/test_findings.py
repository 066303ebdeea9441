"""What a report says in words."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.plan.catalogue import find_factors
from bench.plan.cells import Cell, preset_cell
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import caveats
from bench.report.sections.cells.results import cell_results
from bench.report.sections.claims.testing import Finding, Status, judge_claims
from bench.report.sections.combinations.sentences import combination_sentences
from bench.report.sections.effects.measured import effects
from bench.report.sections.effects.sentences import effect_sentence, findings, headlines, log
from bench.report.sections.measured import opening
from bench.report.sections.presets import preset_sentences
from bench.report.sections.progress.curves import learning_curves
from bench.report.show.words import MINUS, count, few, listed, margin_points, points, shortened, signed, speed_change
from bench.report.stats.estimate import estimate
from bench.report.stats.paired import Comparison
from bench.report.stats.verdict import Verdict
from tests.synthetic import write_rows

MODEL1 = preset_cell("model1")
[BATCH_NORM] = find_factors(["batch_norm"])
[GAP] = find_factors(["gap"])
[DROPOUT] = find_factors(["dropout"])
[AUGMENTATION] = find_factors(["augmentation"])
[SCHEDULER] = find_factors(["scheduler"])
NORMED = MODEL1.with_level(BATCH_NORM, True)
DROPPED = MODEL1.with_level(DROPOUT, 0.1)
NORM = "Batch norm (at its rate 0.03, against 0.01)"
BASE = [0.9880, 0.9884, 0.9882, 0.9878, 0.9886]


def analysis_of(folder: Path, accuracies: dict[Cell, list[float]], dataset: str = "mnist") -> Report:
    store = write_rows(folder / dataset, images=10_000, dataset=dataset, accuracies=accuracies)
    return Report(gather(store, dataset), 0.0005)


def shifted(*differences: float) -> list[float]:
    return [base + difference for base, difference in zip(BASE, differences, strict=True)]


def claim(analysis: Report, beginning: str) -> Finding:
    [finding] = [finding for claim, finding in judge_claims(analysis) if claim.text.startswith(beginning)]
    return finding


@pytest.mark.parametrize(
    ("differences", "verdict", "said"),
    [
        (
            (0.002, 0.0021, 0.0022, 0.0021, 0.0021),
            Verdict.HELPS,
            "Batch norm (at its rate 0.03, against 0.01) helps model1: +0.21 points",
        ),
        (
            (-0.002, -0.0021, -0.0022, -0.0021, -0.0021),
            Verdict.HURTS,
            f"{NORM} hurts model1: {MINUS}0.21 points",
        ),
        ((0.0001, -0.0001, 0.0001, 0.0, 0.0001), Verdict.EQUIVALENT, "changes model1 by less than 0.05 points"),
        (
            (0.004, -0.002, 0.003, 0.0, 0.001),
            Verdict.INCONCLUSIVE,
            f"{NORM} is not settled on model1: measured +0.12 points; could be ",
        ),
    ],
)
def test_a_finding_says_by_how_much_how_surely_and_at_what_cost(
    tmp_path: Path, differences: tuple[float, ...], verdict: Verdict, said: str
) -> None:
    [(found, text)] = findings(analysis_of(tmp_path, {MODEL1: BASE, NORMED: shifted(*differences)}))
    assert found == verdict
    assert said in text
    assert " % lower training throughput" in text
    assert "no effect" not in text


def test_the_sentence_word_for_word(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, {MODEL1: BASE, NORMED: shifted(0.0016, 0.0021, 0.0026, 0.0019, 0.0023)})
    [(_, text)] = findings(analysis)
    cost = text[text.index(", at ") : text.index(" training")]
    assert text.replace(cost, "") == (f"{NORM} helps model1: +0.21 points training throughput.")


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ((0.9, 0.91, 0.92), ", at 9 % lower training throughput."),
        ((1.02, 1.03, 1.04), ", at 3 % higher training throughput."),
        ((0.98, 1.0, 1.03), "points."),
        ((1.003, 1.004, 1.005), "points."),
    ],
)
def test_a_cost_is_told_where_it_is_a_percent_and_more_than_noise(
    tmp_path: Path, ratios: tuple[float, ...], said: str
) -> None:
    [effect] = effects(analysis_of(tmp_path, {MODEL1: BASE, NORMED: shifted(*[0.001, 0.0011] * 2, 0.001)}))
    cost = replace(effect.cost, train_speed=estimate(ratios))
    assert said in effect_sentence(replace(effect, cost=cost), 0.0005)


def test_what_rounds_to_nothing_moved_nothing(tmp_path: Path) -> None:
    [(_, text)] = findings(
        analysis_of(tmp_path, {MODEL1: BASE, DROPPED: shifted(0.003, -0.003, 0.002, -0.002, -0.0001)})
    )
    assert text.startswith("Dropout 0.1 is not settled on model1: measured 0.00 points; could be ")


def test_settled_findings_come_first(tmp_path: Path) -> None:
    accuracies = {
        MODEL1: BASE,
        MODEL1.with_level(GAP, True): shifted(0.004, -0.002, 0.003, 0.0, 0.001),
        NORMED: shifted(0.002, 0.0021, 0.0022, 0.0021, 0.0021),
        MODEL1.with_level(DROPOUT, 0.1): shifted(-0.003, -0.0031, -0.0032, -0.0031, -0.0031),
    }
    verdicts = [verdict for verdict, _ in findings(analysis_of(tmp_path, accuracies))]
    assert verdicts == [Verdict.HELPS, Verdict.HURTS, Verdict.INCONCLUSIVE]


def test_a_log_has_what_does_not_help_with_the_day_of_its_newest_row(tmp_path: Path) -> None:
    analysis = analysis_of(
        tmp_path,
        {
            MODEL1: BASE,
            MODEL1.with_level(GAP, True): shifted(0.004, -0.002, 0.003, 0.0, 0.001),
            NORMED: shifted(0.002, 0.0021, 0.0022, 0.0021, 0.0021),
            DROPPED: shifted(-0.003, -0.0031, -0.0032, -0.0031, -0.0031),
        },
    )
    days = {MODEL1.label: "2026-11-02", DROPPED.label: "2026-11-01", MODEL1.with_level(GAP, True).label: "2026-11-03"}
    rows = analysis.evidence.rates
    rows["started_at"] = [f"{days.get(cell, '2026-11-04')}T10:00:00Z" for cell in rows["cell"]]
    hurts, open_still = log(analysis)
    assert hurts == (
        f"2026-11-02, model1: dropout 0.1 hurts, {MINUS}0.31 points ({MINUS}0.32 to {MINUS}0.30), "
        "5 seeds with it and 5 without."
    )
    assert open_still.startswith("2026-11-03, model1: global average pooling is not settled, +0.12 points (")


def test_a_headline_tells_a_technique_on_all_models_and_the_widest_found_comes_first(tmp_path: Path) -> None:
    model2 = preset_cell("model2")
    accuracies = {
        MODEL1: BASE,
        NORMED: shifted(0.002, 0.0021, 0.0022, 0.0021, 0.0021),
        DROPPED: shifted(-0.006, -0.0061, -0.0062, -0.0061, -0.0061),
        model2: shifted(0.002, 0.0021, 0.0022, 0.0021, 0.0021),
        model2.with_level(BATCH_NORM, False): BASE,
        model2.with_level(DROPOUT, 0.0): shifted(0.004, -0.002, 0.003, 0.0, 0.001),
    }
    assert list(headlines(analysis_of(tmp_path, accuracies))) == [
        "Batch norm at its own rate helps: +0.21 points on average over 2 models.",
        f"Dropout 0.1 hurts: {MINUS}0.26 points on average over 2 models.",
    ]


def test_what_few_seeds_cannot_show_is_said_below_six_only(tmp_path: Path) -> None:
    five = analysis_of(tmp_path / "five", {MODEL1: BASE, NORMED: shifted(0.002, 0.001, 0.002, 0.001, 0.002)})
    [text] = [text for text in caveats(five) if text.startswith("What 5 seeds can't show")]
    assert "p = 0.0625" in text
    six = analysis_of(tmp_path / "six", {MODEL1: [*BASE, 0.988], NORMED: [*BASE, 0.99]})
    assert not [text for text in caveats(six) if "can't show" in text]


def test_what_is_missing_and_untried_is_said_at_the_top(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, {MODEL1: BASE, NORMED: BASE[:3], DROPPED: BASE[:4]})
    texts = list(caveats(analysis))
    assert any(
        text.startswith("Incomplete: fewer seeds than their like in 1 cell of 3, 1 trial in all.") for text in texts
    )
    assert "Not tried on model1: gap, augmentation and scheduler." in texts


def test_cells_at_a_rate_that_nobody_chose_are_named(tmp_path: Path) -> None:
    texts = list(caveats(analysis_of(tmp_path / "joined", {MODEL1: BASE, preset_cell("model4"): BASE})))
    [said] = [text for text in texts if text.startswith("Nobody has chosen")]
    assert "the learning rates of model4 yet" in said  # it joined after they were chosen
    texts = list(caveats(analysis_of(tmp_path / "without", {MODEL1: BASE, NORMED: BASE})))
    assert not [text for text in texts if text.startswith("Nobody has chosen")]


def test_unfinished_trials_are_counted_and_named(tmp_path: Path) -> None:
    store = write_rows(tmp_path / "mnist", accuracies={MODEL1: BASE, NORMED: BASE})
    text = store.trials_path.read_text()
    lines = text.splitlines()
    lines[1] = lines[1].replace(",done,", ",diverged,")
    store.trials_path.write_text("\n".join(lines) + "\n")
    texts = list(caveats(Report(gather(store, "mnist"), 0.0005)))
    assert "1 trial diverged and count in no mean: model1." in texts


def test_presets_and_the_steps_between_them(tmp_path: Path) -> None:
    texts = list(preset_sentences(analysis_of(tmp_path, {MODEL1: BASE, preset_cell("model2"): shifted(*[0.001] * 5)})))
    assert texts[0].startswith("model1 as published reaches 98.82 % (95 % interval 98.78 to 98.86, 5 seeds)")
    assert "credits none of them" in texts[-1]
    assert "batch norm, global average pooling, dropout 0.1 and other layers" in texts[-1]


def test_what_combinations_settle_is_no_second_look_at_a_toggle(tmp_path: Path) -> None:
    """Batch norm adds 0.2 points everywhere, with noise in the preset's toggle that the other pair takes back."""
    noise = (0.003, -0.003, 0.002, -0.002, 0.0)
    accuracies = {
        MODEL1: BASE,
        NORMED: shifted(*(0.002 + part for part in noise)),
        DROPPED: BASE,
        NORMED.with_level(DROPOUT, 0.1): shifted(*(0.0021 - 0.98 * part for part in noise)),
    }
    [_, said] = headlines(analysis_of(tmp_path, accuracies))
    assert re.sub(r"could be \S+ to \S+", "...", said) == (
        "Batch norm at its own rate is not settled: measured +0.20 points on model1; ..."
    )


def test_the_first_sentence_says_what_was_measured_on_what_with_how_many_seeds(tmp_path: Path) -> None:
    text = opening(analysis_of(tmp_path, {MODEL1: [*BASE, 0.9881], NORMED: BASE, DROPPED: BASE}))
    assert re.sub(r" on cpu.*?\. ", " on ... ", text) == (
        "Measured on mnist: 16 trainings of 3 cells (a network with a set of techniques), 5 to 6 seeds each, 15 "
        "epochs, in fp32 on ... What counts is the share of test images that were recognised after the last epoch."
    )


def test_a_finding_that_stands_out_alone_only_is_tentative(tmp_path: Path) -> None:
    """p is about 0.03, and twice that among two."""
    accuracies = {
        MODEL1: BASE,
        NORMED: shifted(0.002, 0.0, 0.001, 0.0022, 0.0011),
        DROPPED: shifted(*[0.002, -0.002] * 2, 0),
    }
    analysis = analysis_of(tmp_path, accuracies)
    [(first, text), (second, _)] = findings(analysis)
    assert (first, second) == (Verdict.TENTATIVE, Verdict.INCONCLUSIVE)
    assert text.startswith("Batch norm (at its rate 0.03, against 0.01) may help model1: measured +0.13 points")
    assert text.endswith("Among so many comparisons one like it may be chance.")
    assert next(headlines(analysis)) == (
        "Batch norm at its own rate may help: measured +0.13 points on model1. "
        "Among so many comparisons one like it may be chance."
    )


def test_collapsed_trials_are_counted_and_named(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, {MODEL1: [0.1, 0.0999, *BASE[:3]], NORMED: BASE})
    [fallen, _] = cell_results(analysis)
    assert (fallen.collapsed, fallen.accuracy.n, fallen.median) == (2, 5, BASE[0])
    [text] = [text for text in caveats(analysis) if text.startswith("Collapsed")]
    assert "2 trials ended at chance level: model1 2 of 5." in text


def test_unequal_numbers_of_seeds_are_said(tmp_path: Path) -> None:
    texts = list(caveats(analysis_of(tmp_path, {MODEL1: BASE, NORMED: BASE[:3]})))
    assert any("unequal numbers of seeds, 3 to 5, in 1 of 1 comparison." in text for text in texts)


def test_what_techniques_do_together(tmp_path: Path) -> None:
    """Each adds 0.1 points; batch norm with pooling 0.1 more, pooling with dropout something from seed to seed."""
    accuracies = {preset_cell("model2"): [0.9845, 0.9847, 0.9849]}
    for norm, gap, drop in itertools.product((False, True), repeat=3):
        cell = MODEL1.with_level(BATCH_NORM, norm).with_level(GAP, gap).with_level(DROPOUT, 0.1 * drop)
        base = 0.98 + 0.001 * (norm + gap + drop + (norm and gap))
        noise = (0, 0.0002, 0.0004)
        swing = (0.0009, 0, -0.0009) if gap and drop else (0, 0, 0)
        extra = (0.00001, 0, -0.00001) if norm and (gap or drop) else (0, 0, 0)
        accuracies[cell] = [base + sum(parts) for parts in zip(noise, swing, extra, strict=True)]
    texts = list(combination_sentences(analysis_of(tmp_path, accuracies)))
    assert texts == [
        "From model1 to model2 accuracy changes by +0.45 points; the largest share is that of global average pooling, "
        "+0.15.",
        "Over all combinations on model1 batch norm helps: +0.15 points.",
        "Over all combinations on model1 what is added by global average pooling and dropout 0.1 is not settled.",
        "On model1 batch norm adds 0.10 points more where there is global average pooling.",
        "On model1 gains add up, to within 0.05 points: batch norm with dropout 0.1.",
        "On model1 it is not settled whether gains add up: global average pooling with dropout 0.1.",
    ]


def of_many_models(analysis: Report, count: int) -> Report:
    """The same with each effect on `count` models, ever smaller."""
    found = [
        replace(
            effect,
            architecture=f"net{number}",
            comparison=shrunk(effect.comparison, 1 - number / 100),
            judgement=replace(effect.judgement, p=effect.judgement.p * (1 + number)),
        )
        for effect in effects(analysis)
        for number in range(count)
    ]
    return analysis.supposing(effects, tuple(found[::-1]))


def shrunk(comparison: Comparison, factor: float) -> Comparison:
    difference = comparison.difference
    return replace(comparison, difference=replace(difference, mean=difference.mean * factor))


def test_headlines_and_claims_of_many_models_name_a_few_and_count_the_rest(tmp_path: Path) -> None:
    one = analysis_of(tmp_path, {MODEL1: BASE, NORMED: shifted(0.002, 0.0021, 0.0022, 0.0021, 0.0021)})
    [headline] = headlines(of_many_models(one, 100))
    assert headline == "Batch norm at its own rate helps: +0.21 points on average over 100 models."
    finding = claim(of_many_models(one.supposing(learning_curves, ()), 100), "Batch norm improves")
    assert finding.status == Status.NOT_TESTABLE  # model1 is none of them


def test_claims_about_many_models_name_a_few(tmp_path: Path) -> None:
    advanced = MODEL1.with_level(AUGMENTATION, "none")
    one = analysis_of(tmp_path, {MODEL1: BASE, advanced: shifted(*[-0.002, -0.0021] * 2, -0.002)})
    evidence = claim(of_many_models(one, 100), "Augmentation improves").evidence
    assert len(re.findall(r"net\d+", evidence)) == 6
    assert "and on 94 more" in evidence


def test_caveats_name_a_few_cells(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, {MODEL1: BASE, NORMED: BASE})
    row = analysis.evidence.trials.iloc[:1]
    failed = pd.concat([row.assign(status="failed", cell=f"net{number}") for number in range(50)])
    many = replace(analysis, evidence=replace(analysis.evidence, unfinished=failed))
    [said] = [text for text in caveats(many) if "failed" in text]
    assert said.startswith("50 trials failed and count in no mean: net0, net1, ")
    assert said.endswith(" and 44 more.")


def test_models_that_lack_the_same_are_told_together(tmp_path: Path) -> None:
    cells = [MODEL1, NORMED, *map(preset_cell, ("model2", "model3", "model4"))]
    analysis = analysis_of(tmp_path, dict.fromkeys(cells, BASE))
    assert [text for text in caveats(analysis) if text.startswith("Not tried")] == [
        "Not tried on model1: gap, dropout, augmentation and scheduler.",
        "Not tried on model2: batch_norm, gap, dropout, augmentation and scheduler.",
        "Not tried on model3 and model4: batch_norm, gap, dropout, augmentation, scheduler, residual and attention.",
    ]


def test_long_lists_say_how_much_is_left_out_and_where_it_is() -> None:
    assert few(["a", "b", "c"], 3) == "a, b and c"
    assert few(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert shortened(["a", "b"], 2, "effects") == ["a", "b"]
    assert shortened(["a", "b", "c"], 1, "effects") == ["a", "And 2 more: tables/effects.csv has them all."]


@pytest.mark.parametrize(
    ("margin", "said"), [(0.0005, "0.05"), (0.001, "0.10"), (0.0, "0.00"), (1e-15, "1e-13"), (1.0, "100.00")]
)
def test_a_margin_is_never_said_to_be_nothing(margin: float, said: str) -> None:
    assert margin_points(margin) == said


@pytest.mark.parametrize(
    ("differences", "status"),
    [
        ((0.0027, 0.0031, 0.0029, 0.0026, 0.0032), Status.SUPPORTED),
        ((0.0010, 0.0011, 0.0012, 0.0010, 0.0011), Status.CONTRADICTED),
        ((0.0060, -0.0010, 0.0040, 0.0, 0.0050), Status.UNSETTLED),
    ],
)
def test_the_claimed_size_is_held_against_the_interval(
    tmp_path: Path, differences: tuple[float, ...], status: Status
) -> None:
    finding = claim(analysis_of(tmp_path, {MODEL1: BASE, NORMED: shifted(*differences)}), "Batch norm improves")
    assert finding.status == status
    assert "at once" in finding.evidence


def test_claims_without_rows_are_not_testable_and_say_why(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, {MODEL1: [0.97, 0.971]})
    by_status = {finding.status for _, finding in judge_claims(analysis)}
    assert by_status == {Status.NOT_TESTABLE, Status.CONTRADICTED}
    assert claim(analysis, "model1 reaches").status == Status.CONTRADICTED
    assert "never drops within 15 epochs" in claim(analysis, "Stepping").evidence
    assert all(finding.evidence for _, finding in judge_claims(analysis))


def test_a_cell_without_rotation_above_98_contradicts_that_rotation_is_essential(tmp_path: Path) -> None:
    plain = MODEL1.with_level(AUGMENTATION, "none")
    assert claim(analysis_of(tmp_path / "a", {plain: BASE}), "Rotation").status == Status.CONTRADICTED
    low = claim(analysis_of(tmp_path / "low", {plain: [0.97, 0.98, 0.975]}), "Rotation")
    assert low.status == Status.UNSETTLED
    assert claim(analysis_of(tmp_path / "b", {MODEL1: BASE}), "Rotation").status == Status.NOT_TESTABLE


@pytest.mark.parametrize(
    ("difference", "status"),
    [
        ((0.0001, -0.0001, 0.0001, 0.0, 0.0001), Status.SUPPORTED),
        ((-0.003, -0.0031, -0.003, -0.003, -0.0029), Status.CONTRADICTED),
    ],
)
def test_gap_saves_parameters_and_must_keep_accuracy(
    tmp_path: Path, difference: tuple[float, ...], status: Status
) -> None:
    finding = claim(analysis_of(tmp_path, {MODEL1: BASE, MODEL1.with_level(GAP, True): shifted(*difference)}), "Global")
    assert finding.status == status
    assert "model1 910" in finding.evidence


def test_claims_are_about_the_data_set_they_were_made_on(tmp_path: Path) -> None:
    assert not list(judge_claims(analysis_of(tmp_path, {MODEL1: BASE}, dataset="digits")))


def test_numbers_in_words() -> None:
    assert points(-0.00213) == "\N{MINUS SIGN}0.21"
    assert points(0.00001) == "0.00"
    assert points(float("nan")) == count(float("nan")) == ""
    assert signed(1234.0, ",.0f") == "+1,234"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert speed_change(0.9, 0.88, 0.92) == "\N{MINUS SIGN}10 % (\N{MINUS SIGN}12 to \N{MINUS SIGN}8)"
    assert speed_change(1.0, float("nan"), float("nan")) == "same"
