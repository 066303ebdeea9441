"""What a report's rows can't say: what is missing, was left out, or takes more seeds."""

from collections.abc import Iterator
from itertools import groupby

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import preset_cell
from bench.report.analysis import Analysis, CellResult
from bench.report.choosing import SELECTED
from bench.report.machines import kinds_of_bits
from bench.report.recall import APART
from bench.report.stats.paired import seeds_for_sign_flip, smallest_sign_flip_p
from bench.report.stats.verdict import ALPHA
from bench.report.words import few, listed, percent, plural


def caveats(analysis: Analysis) -> Iterator[str]:
    """What has to be known before the numbers are believed: what is missing, and what so few seeds can't show."""
    evidence = analysis.evidence
    for status in ("diverged", "failed"):
        rows = evidence.unfinished[evidence.unfinished["status"] == status]
        if len(rows):
            cells = few(sorted(rows["cell"].unique()))
            yield f"{plural(len(rows), 'trial')} {status} and count in no mean: {cells}."
    yield from _collapsed(analysis)
    yield from _unequal_classes(analysis)
    yield from _incomplete(analysis)
    yield from _unequal_seeds(analysis)
    yield from _untried(analysis)
    if evidence.protocol["rate"] == SELECTED and not catalogue().rates.selected:
        yield (
            "Nobody chose learning rates for this study, so the harness's defaults were taken, which suit some "
            f"techniques better than others: `{catalogue().command('select')}` finds rates on held-out training images."
        )
    yield from _unselected(analysis)
    for left_out in evidence.left_out:
        yield f"Left out of this report: {left_out}."
    kinds = kinds_of_bits(evidence.trials["machine"], evidence.machines)
    if len(kinds) > 1:
        shares = listed([f"{plural(number, 'trial')} on {kind}" for kind, number in kinds.items()])
        yield f"A seed gives the same bits on machines of one kind only, and these rows come from several: {shares}."
    yield from _what_few_seeds_cannot_show(analysis)


def _collapsed(analysis: Analysis) -> Iterator[str]:
    """Trials that ended no better than guessing."""
    fallen = [result for result in analysis.cells if result.collapsed]
    if fallen:
        said = [f"{result.cell.label} {result.collapsed} of {result.accuracy.n}" for result in fallen]
        yield (
            f"Collapsed: {plural(sum(r.collapsed for r in fallen), 'trial')} ended at chance level: {few(said)}. A "
            "difference to such a cell says that one of the two didn't train, not by how much a technique helps; its "
            "mean and interval are to be taken with the median."
        )


def _unequal_seeds(analysis: Analysis) -> Iterator[str]:
    """Where toggles have fewer seeds than the presets that they are compared with."""
    unequal = [e.comparison for e in analysis.effects if e.comparison.treated != e.comparison.baseline]
    if unequal:
        fewest = min(min(c.treated, c.baseline) for c in unequal)
        most = max(max(c.treated, c.baseline) for c in unequal)
        yield (
            f"Toggles and presets have unequal numbers of seeds, {fewest} to {most:,}, in {len(unequal)} of "
            f"{plural(len(analysis.effects), 'comparison')}. Every seed counts; the smaller arm sets how sure they are."
        )


def _unselected(analysis: Analysis) -> Iterator[str]:
    """Cells at a rate that nobody chose, in a study whose other rates somebody did."""
    rates = catalogue().rates
    cells = [cell.label for cell in analysis.evidence.cells if not rates.is_selected(cell)]
    if rates.selected and cells and analysis.evidence.protocol["rate"] == SELECTED:
        yield (
            f"Nobody has chosen the learning rates of {few(cells)} yet, so that they may be better at another: "
            f"`{catalogue().command('select')}` finds rates on held-out training images."
        )


def _unequal_classes(analysis: Analysis) -> Iterator[str]:
    """Where accuracy hides that some classes are hardly recognised, because others have most of the images."""
    misled = [r for r in analysis.presets if r.recall and r.accuracy.mean - r.recall.balanced.mean > APART]
    if not misled:
        return
    names = analysis.evidence.class_names
    said = []
    for result in misled:
        recall = result.recall
        if recall is None:
            continue
        never = [names[label] for label in recall.never]
        classes = plural(int((recall.images > 0).sum()), "class", "classes")
        worst = f"{len(never)} of {classes} never: {few(never)}" if never else f"{names[recall.worst]} least"
        said.append(
            f"{result.cell.architecture} {percent(result.accuracy.mean)} accuracy and "
            f"{percent(recall.balanced.mean)} balanced accuracy (recognised {worst})"
        )
    yield (
        "Accuracy misleads here, for classes are of unequal size and the small ones are recognised less: "
        f"{few(said)}. tables/recall.csv has every class."
    )


def _incomplete(analysis: Analysis) -> Iterator[str]:
    """Cells with fewer seeds than their like. A design may give more seeds to presets than to toggles, or to toggles
    than to combinations; what is short is short of the cells with as many techniques changed."""
    missing = []
    for _, alike in groupby(sorted(analysis.cells, key=_changes), key=_changes):
        trained = [result.accuracy.n + result.unfinished for result in alike]
        missing += [max(trained) - number for number in trained if number < max(trained)]
    if missing:
        yield (
            f"Incomplete: fewer seeds than their like in {plural(len(missing), 'cell')} of {len(analysis.cells)}, "
            f"{plural(sum(missing), 'trial')} in all. `{catalogue().command('run')}` with the same options trains "
            "what is missing."
        )


def _changes(result: CellResult) -> int:
    """In how many techniques a cell differs from its model's preset."""
    return len(result.cell.differences(preset_cell(result.cell.architecture)))


def _untried(analysis: Analysis) -> Iterator[str]:
    """Techniques that no trial switched, model by model."""
    tried = {(effect.architecture, effect.factor) for effect in analysis.effects}
    models: dict[tuple[str, ...], list[str]] = {}
    for result in analysis.presets:
        name = result.cell.architecture
        untried = tuple(
            factor.name
            for factor in catalogue().factors
            if find_architecture(name).applies(factor) and (name, factor) not in tried
        )
        if untried:
            models.setdefault(untried, []).append(name)
    for untried, names in models.items():
        yield f"Not tried on {few(names)}: {listed(untried)}."


def _what_few_seeds_cannot_show(analysis: Analysis) -> Iterator[str]:
    """The sign-flip test's limit, where it lies above 5 %."""
    sizes = [len(effect.comparison.shared) for effect in analysis.effects if effect.comparison.shared]
    sizes += [len(step.comparison.shared) for step in analysis.steps if step.comparison.shared]
    enough = seeds_for_sign_flip(ALPHA)
    if not sizes or min(sizes) >= enough:
        return
    fewest = min(sizes)
    family = len(analysis.effects)
    adjusted = (
        f"; after Holm's adjustment for all {family} comparisons it takes {seeds_for_sign_flip(ALPHA / family)}"
        if family > 1
        else ""
    )
    yield (
        f"What {plural(fewest, 'seed')} can't show: a test that takes differences to be symmetric and no more "
        f"(sign-flip) can't go below p = {smallest_sign_flip_p(fewest):.4g} with them, whatever the networks do. The "
        f"intervals here lean on differences between seeds being near normal. {enough} seeds can reach p < "
        f"0.05{adjusted}."
    )
