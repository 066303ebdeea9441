"""The models at their presets, and what lies between successive ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import preset_cell
from bench.plan.factors import Factor, level_of
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.sections.cells.results import CellResult, preset_results
from bench.report.sections.confusion.recalls import APART, recalls
from bench.report.sections.section import Section
from bench.report.show.table import Table, flat, interval_column, number_column, text_column
from bench.report.show.words import how_surely, listed, percent, percent_interval, plural, points, points_interval
from bench.report.stats.paired import Comparison, compare


@dataclass(frozen=True)
class PresetStep:
    """From one model's preset to the next one's: several techniques at once, so the difference credits none of them."""

    start: str
    end: str
    factors: tuple[Factor, ...]
    comparison: Comparison
    published: float | None


@once
def preset_steps(report: Report) -> tuple[PresetStep, ...]:
    """From each model that was trained at its preset to the next."""
    return tuple(_steps(report.evidence))


def step_table(report: Report) -> Table:
    """One row per pair of successive presets."""
    published = any(step.published is not None for step in preset_steps(report))
    return Table(
        name="steps",
        title="From one model to the next",
        caption="Each step changes several techniques and the layers at once, so its difference credits none of them. "
        "Differences in percentage points, over all seeds of both, with the 95 % t interval."
        + (" The published ones are of single runs." if published else ""),
        columns=(
            text_column("from", "start"),
            text_column("to", "end"),
            text_column("what changes", "changes"),
            *([number_column("published", "published", points)] if published else []),
            number_column("measured", "difference", points),
            interval_column("95 % interval", "difference", points_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(
            {
                "start": step.start,
                "end": step.end,
                "changes": listed([*(factor.name for factor in step.factors), "layers"]),
                "published": step.published,
                **flat("difference", step.comparison.difference),
            }
            for step in preset_steps(report)
        ),
    )


def preset_sentences(report: Report) -> Iterator[str]:
    """What each model reached at its preset, and what lies between successive ones."""
    dataset = report.evidence.dataset
    for result in preset_results(report):
        accuracy = result.accuracy
        interval = percent_interval(accuracy.low, accuracy.high)
        name = result.cell.architecture
        how = "as published" if find_architecture(name).published_on(dataset) else "at its preset"
        yield (
            f"{name} {how} reaches {percent(accuracy.mean)} "
            f"({f'95 % interval {interval}, ' if interval else ''}{plural(accuracy.n, 'seed')}) with "
            f"{result.cost.parameters:,} parameters{_classes(report, result)}."
        )
    for step in preset_steps(report):
        yield _step_sentence(step)


def _classes(report: Report, result: CellResult) -> str:
    """What accuracy doesn't tell of a model, where it and balanced accuracy tell different stories."""
    recall = recalls(report).get(result.cell)
    if recall is None or result.accuracy.mean - recall.balanced.mean <= APART:
        return ""
    name, worst = report.evidence.class_names[recall.worst], recall.of_classes[recall.worst]
    least = f", {name} least, {percent(worst.mean)}" if worst else ""
    return f"; every class counted alike it recognises {percent(recall.balanced.mean)}{least}"


def _step_sentence(step: PresetStep) -> str:
    difference = step.comparison.difference
    moved = "above" if difference.mean >= 0 else "below"
    published = f", published {step.published * 100:.2f}" if step.published is not None else ""
    levels = preset_cell(step.end).levels
    changed = listed([*(factor.in_words(level_of(levels, factor)) for factor in step.factors), "other layers"])
    size = f"{abs(difference.mean) * 100:.2f} points"
    return (
        f"{step.end} is {size} {moved} {step.start} ({how_surely(difference)}){published}. "
        f"It takes {changed} at once, so this credits none of them."
    )


def _steps(evidence: Evidence) -> Iterator[PresetStep]:
    names = [name for name in catalogue().architectures if preset_cell(name) in evidence.cells]
    for start, end in pairwise(names):
        cells = preset_cell(end), preset_cell(start)
        yield PresetStep(
            start=start,
            end=end,
            factors=tuple(cells[1].differences(cells[0])),
            comparison=compare(evidence.values(cells[0]), evidence.values(cells[1]), evidence.step),
            published=_published_difference(evidence.dataset, start, end),
        )


def _published_difference(dataset: str, start: str, end: str) -> float | None:
    before, after = (find_architecture(name).published_on(dataset) for name in (start, end))
    return after.test_accuracy - before.test_accuracy if before and after else None


SECTION = Section("presets", "From one model to the next", tables=(step_table,), sentences=preset_sentences)
