"""Effects from every combination of levels: main effects, interactions, and a fair share for each technique.

Responses are arrays over seeds, all in the same seed order, so every effect is computed seed by seed and its
interval is the spread over seeds.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report.stats.estimate import Estimate, estimate

Responses = Mapping[tuple[Any, ...], NDArray[np.float64]]


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
    """One per factor and level but its first. `responses` holds every combination of `levels`, factor by factor."""
    means = _Means(responses)
    for factor, (first, *others) in enumerate(levels):
        for level in others:
            yield MainEffect(factor, level, estimate(means.where({factor: level}) - means.where({factor: first})))


def interactions(responses: Responses, levels: Sequence[Sequence[Hashable]]) -> Iterator[Interaction]:
    """One per pair of factors and pair of levels but their first: the difference of differences."""
    means = _Means(responses)
    for one, two in combinations(range(len(levels)), 2):
        for a, b in product(levels[one][1:], levels[two][1:]):
            first_a, first_b = levels[one][0], levels[two][0]
            with_b = means.where({one: a, two: b}) - means.where({one: first_a, two: b})
            without_b = means.where({one: a, two: first_b}) - means.where({one: first_a, two: first_b})
            yield Interaction((one, two), (a, b), estimate(with_b - without_b))


def shapley(values: Mapping[frozenset[str], NDArray[np.float64]], players: Sequence[str]) -> dict[str, Estimate]:
    """Each player's average gain over all orders of adding them (Shapley 1953); they sum to the whole gain.

    `values` holds every subset of `players`, the empty one included.
    """
    count = len(players)
    shares = {}
    for player in players:
        rest = [other for other in players if other != player]
        gain = np.zeros_like(values[frozenset()])
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for subset in map(frozenset, combinations(rest, size)):
                gain = gain + weight * (values[subset | {player}] - values[subset])
        shares[player] = estimate(gain)
    return shares


class _Means:
    """Means over the combinations that have some levels."""

    def __init__(self, responses: Responses) -> None:
        self._values = np.stack(list(responses.values()))
        self._having = [
            {level: np.array([other == level for other in levels]) for level in set(levels)}
            for levels in zip(*responses, strict=True)
        ]

    def where(self, fixed: Mapping[int, Hashable]) -> NDArray[np.float64]:
        """The mean over seeds' arrays of all combinations in which the factors have the levels that `fixed` says."""
        chosen = np.logical_and.reduce([self._having[factor][level] for factor, level in fixed.items()])
        mean: NDArray[np.float64] = self._values[chosen].mean(axis=0)
        return mean
