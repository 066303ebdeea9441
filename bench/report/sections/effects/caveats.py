"""What has to be known before the effects are believed."""

from collections.abc import Iterator

from bench.plan.catalogue import catalogue, find_architecture
from bench.report.report import Report
from bench.report.sections.cells.results import preset_results
from bench.report.sections.effects.measured import effects
from bench.report.sections.section import Caveat, Weight
from bench.report.show.words import few, listed, plural


def effect_caveats(report: Report) -> Iterator[Caveat]:
    """Comparisons of unequal arms, and techniques that no trial switched."""
    yield from _unequal_seeds(report)
    yield from _untried(report)


def _unequal_seeds(report: Report) -> Iterator[Caveat]:
    """Where toggles have fewer seeds than the presets that they are compared with."""
    unequal = [e.comparison for e in effects(report) if e.comparison.treated != e.comparison.baseline]
    if unequal:
        fewest = min(min(c.treated, c.baseline) for c in unequal)
        most = max(max(c.treated, c.baseline) for c in unequal)
        yield Caveat(
            Weight.LIMIT,
            f"Toggles and presets have unequal numbers of seeds, {fewest} to {most:,}, in {len(unequal)} of "
            f"{plural(len(effects(report)), 'comparison')}. Every seed counts; the smaller arm sets how sure they are.",
        )


def _untried(report: Report) -> Iterator[Caveat]:
    """Techniques that no trial switched, model by model."""
    tried = {(effect.architecture, effect.factor) for effect in effects(report)}
    models: dict[tuple[str, ...], list[str]] = {}
    for result in preset_results(report):
        name = result.cell.architecture
        untried = tuple(
            factor.name
            for factor in catalogue().factors
            if find_architecture(name).applies(factor) and (name, factor) not in tried
        )
        if untried:
            models.setdefault(untried, []).append(name)
    for untried, names in models.items():
        yield Caveat(Weight.LIMIT, f"Not tried on {few(names)}: {listed(untried)}.")
