"""Everything a report says, computed once: tables, charts and sentences only show it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import pandas as pd

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.combinations import Attribution, Factorial, attributions, by_architecture, factorials
from bench.report.cost import Cost, CostDifference, Costs
from bench.report.curves import Curve, learning_curves
from bench.report.evidence import Evidence
from bench.report.mistakes import Confusion, HardImage, confusions, hard_images
from bench.report.overhead import Overhead, overheads
from bench.report.precision import PrecisionEffect, precision_effects
from bench.report.recall import Recall, recalls
from bench.report.speed import Speedup, speedups
from bench.report.stats.estimate import Estimate, estimate
from bench.report.stats.noise import McNemar, VarianceSplit, compare_networks, split_variance
from bench.report.stats.paired import Comparison, compare, holm, seeds_needed, smallest_effect_found
from bench.report.stats.verdict import Verdict, judge
from bench.report.sweeps import Sweep, sweeps

HARDEST_IMAGES = 24

# Of a cell's network on images of a shape (as in 3x32x32) and so many classes, each layer's kind, receptive field
# (None: the whole image) and MACs; None where it can't be built.
LayersOf = Callable[[Cell, str, int], Sequence[tuple[str, int | None, int]] | None]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a network. `kind` is its class; a receptive field that is the whole image is None."""

    kind: str
    receptive_field: int | None
    macs: int

    @property
    def is_pool(self) -> bool:
        """Whether it pools windows of a map."""
        return self.kind in {"MaxPool2d", "AvgPool2d"}

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution of maps."""
        return self.kind in {"Conv2d", "ConvTranspose2d"}


@dataclass(frozen=True)
class CellResult:
    """A cell over its seeds. Accuracies are fractions, the last epoch's on the test set."""

    cell: Cell
    accuracies: "pd.Series[float]"
    accuracy: Estimate
    train_accuracy: float
    cost: Cost
    unfinished: int
    variance: VarianceSplit | None
    recall: Recall | None

    @property
    def is_preset(self) -> bool:
        """Whether this is its architecture's preset."""
        return self.cell == preset_cell(self.cell.architecture)


@dataclass(frozen=True)
class Effect:
    """A technique on one model: the cell with it minus the cell without, paired by seed.

    `level` is the technique's level and `without` what it replaces; one of the two cells is the model's preset.
    `p_holm` is the sign-flip p adjusted for the model's toggles. `smallest_found` is the difference that this many
    seeds find four times in five, `seeds_needed` the seeds that would find one of the margin's size; both None
    without a spread.
    """

    architecture: str
    factor: Factor
    level: Level
    without: Level
    treated: Cell
    baseline: Cell
    comparison: Comparison
    p_holm: float
    verdict: Verdict
    smallest_found: float | None
    seeds_needed: int | None
    cost: CostDifference
    mcnemar: tuple[tuple[int, McNemar], ...]

    @property
    def technique(self) -> str:
        """What was switched on: `batch norm`, or `advanced augmentation instead of basic augmentation`."""
        name = self.factor.in_words(self.level)
        return (
            name
            if self.without == self.factor.off and self.factor.off_is_absence
            else f"{name} instead of {self.factor.in_words(self.without)}"
        )


def telling(effect: Effect) -> tuple[bool, float]:
    """Greater for what is settled and makes a difference, then for what makes a large one: where not all effects can
    be shown, the greatest are."""
    return effect.verdict in (Verdict.HELPS, Verdict.HURTS), abs(effect.comparison.difference.mean)


@dataclass(frozen=True)
class PresetStep:
    """From one model's preset to the next one's: several techniques at once, so the difference credits none of them."""

    start: str
    end: str
    factors: tuple[Factor, ...]
    comparison: Comparison
    published: float | None


@dataclass(frozen=True)
class Analysis:
    """A report's content. `layers` are those of the presets whose network is known."""

    evidence: Evidence
    margin: float
    costs: Costs
    cells: tuple[CellResult, ...]
    effects: tuple[Effect, ...]
    steps: tuple[PresetStep, ...]
    factorials: tuple[Factorial, ...]
    attributions: tuple[Attribution, ...]
    curves: tuple[Curve, ...]
    confusions: tuple[Confusion, ...]
    hardest: tuple[HardImage, ...]
    precisions: tuple[PrecisionEffect, ...]
    sweeps: tuple[Sweep, ...]
    speedups: tuple[Speedup, ...]
    overheads: tuple[Overhead, ...]
    layers: Mapping[Cell, tuple[Layer, ...]]

    @property
    def presets(self) -> list[CellResult]:
        """The results of the presets that were trained."""
        return [result for result in self.cells if result.is_preset]

    @property
    def preset_curves(self) -> list[Curve]:
        """The learning curves of the presets."""
        presets = {result.cell for result in self.presets}
        return [curve for curve in self.curves if curve.cell in presets]


def analyse(evidence: Evidence, margin: float, layers_of: LayersOf | None = None) -> Analysis:
    """Computes a report. `margin` is the practical margin as a fraction: 0.0005 is 0.05 points; `layers_of` says
    what today's networks are made of, which rows don't."""
    costs, recalled = Costs(evidence), recalls(evidence)
    unfinished = Counter(evidence.unfinished["cell"])
    return Analysis(
        evidence=evidence,
        margin=margin,
        costs=costs,
        cells=tuple(
            _cell_result(evidence, costs, recalled.get(cell), cell, unfinished[cell.label]) for cell in evidence.cells
        ),
        effects=tuple(
            chain.from_iterable(_effects(evidence, costs, margin, *group) for group in by_architecture(evidence.cells))
        ),
        steps=tuple(_steps(evidence)),
        factorials=tuple(factorials(evidence)),
        attributions=tuple(attributions(evidence)),
        curves=tuple(learning_curves(evidence)),
        confusions=tuple(confusions(evidence)),
        hardest=tuple(hard_images(evidence, HARDEST_IMAGES)),
        precisions=tuple(precision_effects(evidence)),
        sweeps=tuple(sweeps(evidence)),
        speedups=speedups(evidence.speeds, evidence.protocol["code"]),
        overheads=overheads(evidence.overheads, evidence.protocol["code"]),
        layers=dict(_layers(evidence, layers_of)) if layers_of is not None else {},
    )


def _layers(evidence: Evidence, layers_of: LayersOf) -> Iterator[tuple[Cell, tuple[Layer, ...]]]:
    for cell in evidence.cells:
        if cell == preset_cell(cell.architecture):
            last = evidence.rows(cell).iloc[-1]
            known = layers_of(cell, str(last["input"]), int(last["classes"]))
            if known is not None:
                yield cell, tuple(Layer(*layer) for layer in known)


def _cell_result(evidence: Evidence, costs: Costs, recall: Recall | None, cell: Cell, unfinished: int) -> CellResult:
    rows = evidence.rows(cell)
    _, bits = evidence.bits(cell)
    return CellResult(
        cell=cell,
        accuracies=rows["test_accuracy"],
        accuracy=estimate(rows["test_accuracy"].to_numpy(dtype=float)),
        train_accuracy=float(rows["train_accuracy"].mean()),
        cost=costs.of(cell),
        unfinished=unfinished,
        variance=split_variance(bits) if len(bits) > 1 else None,
        recall=recall,
    )


def _effects(evidence: Evidence, costs: Costs, margin: float, architecture: str, cells: Sequence[Cell]) -> list[Effect]:
    """One architecture's toggles: every one of its cells that differs from its preset in one factor."""
    preset = preset_cell(architecture)
    pairs = []
    for cell in cells:
        if len(changed := cell.differences(preset)) == 1:
            [factor] = changed
            baseline, treated = sorted((preset, cell), key=lambda c: factor.levels.index(level_of(c.levels, factor)))
            if evidence.shared_seeds([baseline, treated]):
                pairs.append((factor, treated, baseline))
    comparisons = [_compare(evidence, treated, baseline) for _, treated, baseline in pairs]
    adjusted = holm([comparison.p for comparison in comparisons])
    return [
        _effect(evidence, costs, margin, pair, comparison, p)
        for pair, comparison, p in zip(pairs, comparisons, adjusted, strict=True)
    ]


def _effect(
    evidence: Evidence,
    costs: Costs,
    margin: float,
    pair: tuple[Factor, Cell, Cell],
    comparison: Comparison,
    p_holm: float,
) -> Effect:
    factor, treated, baseline = pair
    difference = comparison.difference
    spread = difference.has_interval
    return Effect(
        architecture=treated.architecture,
        factor=factor,
        level=level_of(treated.levels, factor),
        without=level_of(baseline.levels, factor),
        treated=treated,
        baseline=baseline,
        comparison=comparison,
        p_holm=p_holm,
        verdict=judge(difference, margin),
        smallest_found=smallest_effect_found(difference.sd, difference.n) if spread else None,
        seeds_needed=seeds_needed(margin, difference.sd) if spread and margin > 0 else None,
        cost=costs.difference(treated, baseline),
        mcnemar=_mcnemar(evidence, treated, baseline),
    )


def _mcnemar(evidence: Evidence, treated: Cell, baseline: Cell) -> tuple[tuple[int, McNemar], ...]:
    (seeds, own), (other_seeds, other) = evidence.bits(treated), evidence.bits(baseline)
    if seeds != other_seeds:
        shared, ours, theirs = np.intersect1d(seeds, other_seeds, return_indices=True)
        seeds, own, other = shared.tolist(), own[ours], other[theirs]
    return tuple(zip(seeds, compare_networks(own, other), strict=True)) if seeds else ()


def _steps(evidence: Evidence) -> Iterator[PresetStep]:
    names = [name for name in catalogue().architectures if preset_cell(name) in evidence.cells]
    for start, end in pairwise(names):
        cells = preset_cell(end), preset_cell(start)
        if evidence.shared_seeds(cells):
            yield PresetStep(
                start=start,
                end=end,
                factors=tuple(cells[1].differences(cells[0])),
                comparison=_compare(evidence, *cells),
                published=_published_difference(evidence.dataset, start, end),
            )


def _published_difference(dataset: str, start: str, end: str) -> float | None:
    before, after = (find_architecture(name).published_on(dataset) for name in (start, end))
    return after.test_accuracy - before.test_accuracy if before and after else None


def _compare(evidence: Evidence, treated: Cell, baseline: Cell) -> Comparison:
    seeds = evidence.shared_seeds([treated, baseline])
    return compare(evidence.accuracies(treated, seeds), evidence.accuracies(baseline, seeds))
