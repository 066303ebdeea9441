"""What a newcomer sees first: a technique's mean over models, charts whose text is text, caveats by weight."""

import re
from pathlib import Path

import pytest

from bench.plan.catalogue import find_factors
from bench.plan.cells import Cell, preset_cell
from bench.report.evidence import gather
from bench.report.report import Report, once
from bench.report.sections import SECTIONS, caveats, draw_charts
from bench.report.sections.effects.measured import effects
from bench.report.sections.effects.pooled import pooled_effects
from bench.report.sections.effects.sentences import headlines
from bench.report.sections.section import Weight
from bench.report.show.chart import save
from bench.report.show.page import render_page
from bench.report.stats.verdict import Verdict
from tests.synthetic import write_rows

[GAP] = find_factors(["gap"])
MODELS = preset_cell("model1"), preset_cell("model2")
BASE = [0.980, 0.981, 0.982, 0.983]


def report_on(folder: Path, gains: tuple[float, float]) -> Report:
    """Global average pooling adds so much to each of two models."""
    accuracies: dict[Cell, list[float]] = {}
    for cell, gain in zip(MODELS, gains, strict=True):
        better = [value + gain + step for value, step in zip(BASE, (0.0, 0.0001, 0.0002, 0.0001), strict=True)]
        accuracies |= {cell.with_level(GAP, True): better, cell.with_level(GAP, False): BASE}
    return Report(gather(write_rows(folder / "mnist", images=10_000, accuracies=accuracies), "mnist"), 0.0005)


def test_a_technique_is_worth_the_mean_of_its_effects_with_every_model_alike(tmp_path: Path) -> None:
    report = report_on(tmp_path, (0.002, 0.004))
    [pooled] = pooled_effects(report)
    means = [effect.comparison.difference.mean for effect in effects(report)]
    assert pooled.difference.mean == pytest.approx(sum(means) / 2) == pytest.approx(0.0031)
    assert pooled.verdict == Verdict.HELPS
    assert list(headlines(report)) == ["Global average pooling helps: +0.31 points on average over 2 models."]


def test_a_model_that_goes_the_other_way_is_named(tmp_path: Path) -> None:
    [text] = headlines(report_on(tmp_path, (0.010, -0.003)))
    assert text == "Global average pooling helps: +0.36 points on average over 2 models. It hurts model2."


def test_text_is_text_marks_have_titles_and_no_name_is_given_twice(tmp_path: Path) -> None:
    report = report_on(tmp_path, (0.002, 0.004))
    charts = list(draw_charts(report))
    for chart in charts:
        save(chart, tmp_path)
    svg = (tmp_path / "effects.svg").read_text(encoding="utf-8")
    assert ">Global average pooling</text>" in svg
    assert "<title>average: +0.31 (" in svg
    assert "fill: var(--ink, #262626)" in svg
    page = render_page(report, [], charts, tmp_path, "command")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|xlink:href="#)([^)"]+)', page)) <= set(ids)
    assert page.index("Global average pooling helps") < page.index("<svg")


def test_caveats_that_change_the_reading_come_first(tmp_path: Path) -> None:
    cell = MODELS[0]
    accuracies = {cell: [0.1, 0.0999, 0.98], cell.with_level(GAP, True): [0.98, 0.981, 0.982]}
    report = Report(gather(write_rows(tmp_path / "mnist", accuracies=accuracies), "mnist"), 0.0005)
    first, *others = caveats(report)
    assert first.startswith("Collapsed: 2 trials")
    assert caveats(report, Weight.MEANING) == [first]
    assert caveats(report, Weight.LIMIT, Weight.HOUSEKEEPING) == others
    assert others[-1].startswith("What 3 seeds can't show")


def test_a_question_is_answered_once_and_what_follows_from_another_answer_anew(tmp_path: Path) -> None:
    asked = []

    @once
    def number(report: Report) -> int:
        asked.append(report)
        return 1

    @once
    def twice(report: Report) -> int:
        return 2 * number(report)

    report = report_on(tmp_path, (0.0, 0.0))
    assert (twice(report), twice(report), number(report)) == (2, 2, 1)
    assert len(asked) == 1
    assert twice(report.supposing(number, 5)) == 10
    assert twice(report) == 2


def test_sections_have_names_of_their_own() -> None:
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
