"""Which cells the next seeds go to: to the contrasts that are still open, those first that should close soonest.

What closes a contrast is foretold from its difference, the spread of its two cells and their numbers of seeds, as if
the difference stayed as it is. Numbers in, numbers out; cells are whatever names them.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from bench.plan.proposing import FIRST_SEEDS, LEAST_SEEDS
from bench.report.stats.contrast import Values, aligned, contrast
from bench.report.stats.estimate import Estimate
from bench.report.stats.sequential import Anytime, anytime, log_evidence, log_evidence_one_sided
from bench.report.stats.verdict import ALPHA, Judgement

# A cell gets a quarter more seeds at a time, whatever is foretold: by then more is known.
_AT_A_TIME = 0.25

# A cell may have so many times its opponent's seeds: beyond, more of them hardly narrow the difference.
_MOST_UNEQUAL = 4.0


A = TypeVar("A", bound=Hashable)


@dataclass(frozen=True)
class Pair(Generic[A]):
    """A contrast between two cells, by their names."""

    treated: A
    baseline: A


@dataclass(frozen=True, slots=True)
class Outlook:
    """What should close a contrast: so many seeds in either arm, `more` than there are now; None where no number within
    the limit would."""

    seeds: tuple[int, int] | None
    more: int | None


@dataclass(frozen=True)
class Share(Generic[A]):
    """So many seeds more for the cell `arm`, on account of the contrast number `pair`."""

    arm: A
    seeds: int
    pair: int


def differences(pairs: Iterable[Pair[A]], values: Mapping[A, Values], step: float) -> list[Anytime | None]:
    """The contrasts' differences; None where an arm has no value yet."""
    return [_difference(values.get(pair.treated, {}), values.get(pair.baseline, {}), step) for pair in pairs]


def _difference(treated: Values, baseline: Values, step: float) -> Anytime | None:
    if not treated or not baseline:
        return None
    return anytime(contrast((1, -1), aligned([treated, baseline]), step), len(treated), len(baseline))


def outlooks(
    pairs: Sequence[Pair[A]],
    values: Mapping[A, Values],
    looked: Sequence[Estimate | None],
    judgements: Sequence[Judgement],
    margin: float,
    most: int,
    others: int = 0,
) -> dict[int, Outlook]:
    """Of each open contrast, by its number, what should close it with at most so many seeds in an arm. `looked` are the
    differences and `judgements` the family's, which has so many `others`."""
    none, beyond = (
        ALPHA / max(1, len(pairs) + others - sum(p <= ALPHA for p in adjusted))
        for adjusted in ([one.p for one in judgements], [one.p_beyond for one in judgements])
    )
    sharing: dict[A, int] = {}
    numbers = [number for number, one in enumerate(judgements) if not one.settled]
    for number in numbers:
        for arm in (pairs[number].treated, pairs[number].baseline):
            sharing[arm] = sharing.get(arm, 0) + 1
    found = {}
    for number in numbers:
        pair, difference = pairs[number], looked[number]
        arms = values.get(pair.treated, {}), values.get(pair.baseline, {})
        if difference is None or min(map(len, arms)) < FIRST_SEEDS or not difference.error > 0:
            found[number] = Outlook(None, None)
        else:
            shares = sharing[pair.treated], sharing[pair.baseline]
            found[number] = _outlook(difference.mean, arms, shares, margin, most, (none, beyond))
    return found


def _outlook(
    mean: float,
    arms: tuple[Values, Values],
    sharing: tuple[int, int],
    margin: float,
    most: int,
    levels: tuple[float, float],
) -> Outlook:
    """The seeds grow so that each trial narrows the difference most, in the ratio of the arms' spreads and of the root
    of the number of open contrasts that share them."""
    treated, baseline = (np.array(list(arm.values())) for arm in arms)
    variances = treated.var(ddof=1), baseline.var(ddof=1)
    shared = [(arms[0][seed], arms[1][seed]) for seed in arms[0].keys() & arms[1].keys()]
    common = float(np.cov(np.array(shared).T)[0, 1]) if len(shared) > 2 else 0.0
    tiny = max(*variances, 1e-18) / _MOST_UNEQUAL**2
    ratio = math.sqrt(sharing[1] * max(variances[1], tiny) / (sharing[0] * max(variances[0], tiny)))
    ratio = min(max(ratio, 1 / _MOST_UNEQUAL), _MOST_UNEQUAL)
    lead = np.unique(np.ceil(np.geomspace(1, max(most, 2), 200)))
    ours, theirs = (
        np.clip(np.ceil(lead * min(1, share)), max(arm.size, LEAST_SEEDS), max(most, arm.size, LEAST_SEEDS))
        for share, arm in ((1 / ratio, treated), (ratio, baseline))
    )
    parts = variances[0] / ours, variances[1] / theirs
    squared = np.maximum(sum(parts) - 2 * common / np.maximum(ours, theirs), sum(parts) / 20)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (ours - 1) + parts[1] ** 2 / (theirs - 1) + 1e-300)
    error, information = np.sqrt(squared), 2 / (1 / ours + 1 / theirs)
    closes = log_evidence(abs(mean) / error, freedom, information) >= -math.log(levels[0])
    if margin > abs(mean):
        near = log_evidence_one_sided((margin - abs(mean)) / error, freedom, information)
        closes |= near >= -math.log(levels[1])
    if not closes.any():
        return Outlook(None, None)
    first = int(closes.argmax())
    seeds = int(ours[first]), int(theirs[first])
    return Outlook(seeds, max(seeds[0] - treated.size, 0) + max(seeds[1] - baseline.size, 0))


def next_shares(
    pairs: Sequence[Pair[A]], found: Mapping[int, Outlook], counts: Mapping[A, int], most: int, batch: int
) -> list[Share[A]]:
    """Which cells get the next `batch` seeds or so, at most so many in all and in an arm `most`; none where nothing is
    open that could have more. Cells with fewer than the first seeds come first, all of them at once; then the contrasts
    in the order of how much they still take, and where no number would do, of how many seeds they have."""
    first = _first_shares(pairs, found, counts, most)
    if first:
        return first
    order = sorted(found, key=lambda number: (_takes(found[number]), _seeds(pairs[number], counts), number))
    shares: list[Share[A]] = []
    given: dict[A, int] = {}
    for number in order:
        pair, outlook = pairs[number], found[number]
        for place, arm in enumerate((pair.treated, pair.baseline)):
            now = counts.get(arm, 0)
            step = max(1, math.ceil(_AT_A_TIME * now))
            target = min(most, now + step if outlook.seeds is None else min(outlook.seeds[place], now + step))
            # What is foretold to be closed by now, and isn't, takes one more seed at least.
            if outlook.more == 0 and place == 0:
                target = min(most, now + 1)
            wanted = min(target - now - given.get(arm, 0), batch - sum(given.values()))
            if wanted > 0:
                given[arm] = given.get(arm, 0) + wanted
                shares.append(Share(arm, wanted, number))
    return shares


def _first_shares(
    pairs: Sequence[Pair[A]], found: Mapping[int, Outlook], counts: Mapping[A, int], most: int
) -> list[Share[A]]:
    shares: dict[A, Share[A]] = {}
    for number in found:
        for arm in (pairs[number].baseline, pairs[number].treated):
            lacking = min(FIRST_SEEDS, most) - counts.get(arm, 0)
            if lacking > 0:
                shares.setdefault(arm, Share(arm, lacking, number))
    return list(shares.values())


def _takes(outlook: Outlook) -> float:
    return math.inf if outlook.more is None else outlook.more


def _seeds(pair: Pair[A], counts: Mapping[A, int]) -> int:
    return counts.get(pair.treated, 0) + counts.get(pair.baseline, 0)
