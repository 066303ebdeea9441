"""Effects from every combination of levels: main effects, interactions, and a fair share for each technique.

Responses are (seeds, combinations), NaN where a combination wasn't trained with a seed; every effect is a contrast of
the combinations' means over all their seeds.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import Estimate


@dataclass(frozen=True)
class Responses:
    """The values of every combination of levels, (seeds, combinations), factor by factor; `step` is what they move
    in."""

    combinations: Sequence[tuple[Any, ...]]
    values: NDArray[np.float64]
    step: float = 0.0

    def contrast(self, weights: NDArray[np.float64]) -> Estimate:
        """The weighted sum of the combinations' means."""
        return contrast(weights, self.values, self.step)

    def mean_of(self, fixed: Mapping[int, Hashable]) -> NDArray[np.float64]:
        """The weights of the mean over all combinations in which the factors have the levels that `fixed` says."""
        chosen = np.array(
            [all(levels[factor] == level for factor, level in fixed.items()) for levels in self.combinations]
        )
        weights: NDArray[np.float64] = chosen / chosen.sum()
        return weights


@dataclass(frozen=True, slots=True)
class MainEffect:
    """A level against its factor's first one, averaged over every combination of the other factors."""

    factor: int
    level: Hashable
    effect: Estimate


@dataclass(frozen=True, slots=True)
class Interaction:
    """How much more the first factor's level adds when the second factor has its level than when it has its first one,
    averaged over the rest. 0 means that the two add up."""

    factors: tuple[int, int]
    levels: tuple[Hashable, Hashable]
    effect: Estimate


def complete_sets(
    seeds: Mapping[tuple[int, ...], Sequence[frozenset[int]]], levels: Sequence[int]
) -> list[tuple[tuple[int, ...], frozenset[int]]]:
    """The largest sets of two or more factors of which every combination of levels has two or more seeds in common,
    with those seeds; larger sets first, then in the order of the factors.

    Cells are told apart by how they differ from one of them: `seeds` has, for the places of the factors in which a cell
    differs, the seeds of every such cell. `levels` counts each factor's. This takes as long as there are cells, not
    sets of factors: a set is complete where all smaller ones in it are and the cells that differ in exactly its
    factors are all there.
    """
    complete: dict[tuple[int, ...], frozenset[int]] = {}
    largest: set[tuple[int, ...]] = set()
    for places in sorted(seeds, key=len):
        cells, smaller = seeds[places], [places[:i] + places[i + 1 :] for i in range(len(places))]
        if len(cells) == prod(levels[place] - 1 for place in places) and all(part in complete for part in smaller):
            shared = frozenset.intersection(*cells, *(complete[part] for part in smaller))
            if len(shared) > 1:
                complete[places] = shared
                largest.difference_update(smaller)
                largest.add(places)
    chosen = sorted((places for places in largest if len(places) > 1), key=lambda places: (-len(places), places))
    return [(places, complete[places]) for places in chosen]


def main_effects(responses: Responses, levels: Sequence[Sequence[Hashable]]) -> Iterator[MainEffect]:
    """One per factor and level but its first. `responses` has every combination of `levels`."""
    for factor, (first, *others) in enumerate(levels):
        for level in others:
            weights = responses.mean_of({factor: level}) - responses.mean_of({factor: first})
            yield MainEffect(factor, level, responses.contrast(weights))


def interactions(responses: Responses, levels: Sequence[Sequence[Hashable]]) -> Iterator[Interaction]:
    """One per pair of factors and pair of levels but their first: the difference of differences."""
    mean = responses.mean_of
    for one, two in combinations(range(len(levels)), 2):
        for a, b in product(levels[one][1:], levels[two][1:]):
            first_a, first_b = levels[one][0], levels[two][0]
            with_b = mean({one: a, two: b}) - mean({one: first_a, two: b})
            without_b = mean({one: a, two: first_b}) - mean({one: first_a, two: first_b})
            yield Interaction((one, two), (a, b), responses.contrast(with_b - without_b))


def shapley(values: Mapping[frozenset[str], Values], players: Sequence[str], step: float = 0.0) -> dict[str, Estimate]:
    """Each player's average gain over all orders of adding them (Shapley 1953); they sum to the whole gain.

    `values` holds those of every subset of `players`, the empty one included, by seed.
    """
    subsets, count = list(values), len(players)
    matrix = aligned([values[subset] for subset in subsets])
    shares = {}
    for player in players:
        weights = np.zeros(len(subsets))
        for place, subset in enumerate(subsets):
            size = len(subset - {player})
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            weights[place] = weight if player in subset else -weight
        shares[player] = contrast(weights, matrix, step)
    return shares
