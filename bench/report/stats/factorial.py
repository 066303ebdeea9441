"""Effects from every combination of levels: main effects, interactions, and a fair share for each technique.

Responses are arrays over seeds, all in the same seed order, so every effect is computed seed by seed and its
interval is the spread over seeds.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import factorial
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


def main_effects(responses: Responses, levels: Sequence[Sequence[Hashable]]) -> Iterator[MainEffect]:
    """One per factor and level but its first. `responses` holds every combination of `levels`, factor by factor."""
    for factor, (first, *others) in enumerate(levels):
        for level in others:
            effect = _mean_where(responses, {factor: level}) - _mean_where(responses, {factor: first})
            yield MainEffect(factor, level, estimate(effect))


def interactions(responses: Responses, levels: Sequence[Sequence[Hashable]]) -> Iterator[Interaction]:
    """One per pair of factors and pair of levels but their first: the difference of differences."""
    for one, two in combinations(range(len(levels)), 2):
        for a, b in product(levels[one][1:], levels[two][1:]):
            with_b = _mean_where(responses, {one: a, two: b}) - _mean_where(responses, {one: levels[one][0], two: b})
            first_b = levels[two][0]
            without_b = _mean_where(responses, {one: a, two: first_b}) - _mean_where(
                responses, {one: levels[one][0], two: first_b}
            )
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


def _mean_where(responses: Responses, fixed: Mapping[int, Hashable]) -> NDArray[np.float64]:
    chosen = [
        values
        for combination, values in responses.items()
        if all(combination[factor] == level for factor, level in fixed.items())
    ]
    mean: NDArray[np.float64] = np.mean(chosen, axis=0)
    return mean
