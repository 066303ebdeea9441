"""Everything a report says, computed once: tables, charts and sentences only show it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level
from bench.report.combinations import Attribution, Factorial, attributions, factorials
from bench.report.cost import Cost, CostDifference, Costs
from bench.report.curves import Curve, learning_curves
from bench.report.evidence import Evidence
from bench.report.looks import allowing_for_looks, answerable, arms_of, finds, judge_after_looks, needs
from bench.report.mistakes import Confusion, HardImage, confusions, hard_images
from bench.report.overhead import Overhead, overheads
from bench.report.precision import PrecisionEffect, precision_effects
from bench.report.questions import Question
from bench.report.recall import Recall, recalls
from bench.report.speed import Speedup, speedups
from bench.report.stats.chance import collapsed
from bench.report.stats.estimate import Estimate, estimate
from bench.report.stats.noise import McNemar, VarianceSplit, compare_networks, split_variance
from bench.report.stats.paired import Comparison, SeedsNeeded, compare
from bench.report.stats.verdict import SETTLED, Judgement, Verdict, judge_family
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
    """A cell over its seeds. Accuracies are fractions, the last epoch's on the test set. `collapsed` trials ended
    within the sampling error of chance: a mean over these and others tells little, and its interval covers too rarely.
    """

    cell: Cell
    accuracies: "pd.Series[float]"
    accuracy: Estimate
    median: float
    collapsed: int
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
    """A technique on one model: the cell with it minus the cell without, over all seeds of both.

    `level` is the technique's level and `without` what it replaces; one of the two cells is the model's preset. `rates`
    are the learning rates of the two; where they differ the effect is that of the technique with its rate, and there
    may be another one, at the `same_rate`, of the technique alone. `judgement` holds for the family of all effects of
    the report. `smallest_found` is the difference that these seeds find four times in five, `seeds_needed` the seeds in
    each arm that would find one of the margin's size; both None without a spread.
    """

    architecture: str
    factor: Factor
    level: Level
    without: Level
    treated: Cell
    baseline: Cell
    rates: tuple[float, float]
    same_rate: bool
    comparison: Comparison
    judgement: Judgement
    smallest_found: float | None
    seeds_needed: SeedsNeeded | None
    cost: CostDifference
    mcnemar: tuple[tuple[int, McNemar], ...]

    @property
    def verdict(self) -> Verdict:
        """What the rows say, for the whole family."""
        return self.judgement.verdict

    @property
    def technique(self) -> str:
        """What was switched on: `batch norm`, or `advanced augmentation instead of basic augmentation`."""
        name = self.factor.in_words(self.level)
        return (
            name
            if self.without == self.factor.off and self.factor.off_is_absence
            else f"{name} instead of {self.factor.in_words(self.without)}"
        )

    @property
    def technique_at_rates(self) -> str:
        """`batch norm (at its rate 0.03, against 0.01)`."""
        return f"{self.technique} ({self.at_rates})" if self.at_rates else self.technique

    @property
    def at_rates(self) -> str:
        """Which learning rates are compared, where a technique comes with its own: `at its rate 0.03, against 0.01`, or
        `at the same rate 0.01`; else empty."""
        treated, baseline = self.rates
        if self.same_rate:
            return f"at the same rate {treated:g}"
        return f"at its rate {treated:g}, against {baseline:g}" if treated != baseline else ""


def sureness(effect: Effect) -> tuple[bool, float]:
    """Greater for what is settled, then for what is surer: where not all effects can be shown, the greatest are.

    By size those would come first that chance made largest.
    """
    judgement = effect.judgement
    return effect.verdict in SETTLED, -min(judgement.p, judgement.p_beyond)


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
    chance = _chance(evidence, recalled)
    unfinished = Counter(evidence.unfinished["cell"])
    return Analysis(
        evidence=evidence,
        margin=margin,
        costs=costs,
        cells=tuple(
            _cell_result(evidence, costs, recalled.get(cell), cell, unfinished[cell.label], chance)
            for cell in evidence.cells
        ),
        effects=tuple(_effects(evidence, costs, margin)),
        steps=tuple(_steps(evidence)),
        factorials=tuple(factorials(evidence)),
        attributions=tuple(attributions(evidence)),
        curves=tuple(learning_curves(evidence)),
        confusions=tuple(confusions(evidence)),
        hardest=tuple(hard_images(evidence, HARDEST_IMAGES)),
        precisions=tuple(precision_effects(evidence, margin)),
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


def _chance(evidence: Evidence, recalled: Mapping[Cell, Recall]) -> float:
    """The accuracy of always saying the commonest class; of classes of equal size where none were counted."""
    images = next((recall.images for recall in recalled.values()), None)
    return float(images.max() / images.sum()) if images is not None else 1 / int(evidence.trials["classes"].max())


def _cell_result(
    evidence: Evidence, costs: Costs, recall: Recall | None, cell: Cell, unfinished: int, chance: float
) -> CellResult:
    rows = evidence.rows(cell)
    _, bits = evidence.bits(cell)
    accuracies = rows["test_accuracy"].to_numpy(dtype=float)
    return CellResult(
        cell=cell,
        accuracies=rows["test_accuracy"],
        accuracy=estimate(accuracies, evidence.step),
        median=float(np.median(accuracies)),
        collapsed=collapsed(accuracies, chance, evidence.step),
        train_accuracy=float(rows["train_accuracy"].mean()),
        cost=costs.of(cell),
        unfinished=unfinished,
        variance=split_variance(bits) if len(bits) > 1 else None,
        recall=recall,
    )


def _effects(evidence: Evidence, costs: Costs, margin: float) -> Iterator[Effect]:
    """Every toggle of every architecture, one family."""
    asked = answerable(evidence)
    compared = [compare(*arms_of(evidence, question), evidence.step) for question in asked]
    if evidence.looks:
        compared = [allowing_for_looks(comparison) for comparison in compared]
        judgements = judge_after_looks(evidence, asked, margin)
    else:
        judgements = judge_family([comparison.difference for comparison in compared], margin)
    for question, comparison, judgement in zip(asked, compared, judgements, strict=True):
        yield _effect(evidence, costs, margin, question, comparison, judgement, len(asked))


def _effect(
    evidence: Evidence,
    costs: Costs,
    margin: float,
    question: Question,
    comparison: Comparison,
    judgement: Judgement,
    family: int,
) -> Effect:
    difference, factor = comparison.difference, question.factor
    return Effect(
        architecture=question.treated.architecture,
        factor=factor,
        level=level_of(question.treated.levels, factor),
        without=level_of(question.baseline.levels, factor),
        treated=question.treated,
        baseline=question.baseline,
        rates=question.rates,
        same_rate=question.same_rate,
        comparison=comparison,
        judgement=judgement,
        smallest_found=finds(difference, family),
        seeds_needed=needs(margin, difference, family),
        cost=costs.difference(question.treated, question.baseline),
        mcnemar=() if question.same_rate else _mcnemar(evidence, question.treated, question.baseline),
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
