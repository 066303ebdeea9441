"""Differences that may be looked at again: intervals and p values that hold at every moment, not at one.

Who adds seeds until a t interval leaves 0 out gets there by chance sooner or later. Here the error is bounded over all
looks together, whenever they are, whatever decided that there should be one more and which cells its seeds went to.

The rule is the anytime-valid t test: over effect sizes that are normal around 0, the likelihood ratio of the t
statistic is a martingale where there is no difference, so that it ever reaches 1/p has a probability of at most p
(Ville). Wang and Ramdas 2025, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown
variance" (arXiv 2310.03722), have it for one mean, after Lai 1976 and with a normal mixture; Lindon, Ham, Tingley and
Bojinov 2022 (arXiv 2210.08589) for contrasts of linear models, with their degrees of freedom. Inverted it is a
confidence sequence, and 1 over it a p value for Holm's procedure, which keeps its promise where all p values do. With
unequal arms and Satterthwaite's degrees of freedom (`contrast`) it is no theorem but holds: see below.

`python -m tests.perf.sequential` simulates it beside others: spending of the error over looks at a ladder of numbers of
seeds (Lan and DeMets 1983), at a constant level as Pocock does it, and as O'Brien and Fleming do. What spends at a
constant level takes as many seeds on its ladder as this rule does with a look at every seed, and what saves for the
last look takes more. But spending holds on its rungs only: read between two of them, after a kill or with another
machine's rows, it errs almost twice as often as it says. This rule has no rungs and no last look, and is a function of
the rows alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.plan.proposing import LEAST_SEEDS
from bench.report.stats.estimate import Estimate
from bench.report.stats.paired import MOST_SEEDS, POWER
from bench.report.stats.verdict import ALPHA, Judgement, decided, holm

# So many seeds' worth the prior on effect sizes weighs: with 1, as narrow as can be at 10 to 100 seeds, and no verdict
# at 5. Tenths would see great effects two seeds earlier and take a fifth more seeds for small ones.
PRIOR_SEEDS = 1.0

_Numbers = float | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Anytime(Estimate):
    """An estimate whose interval and p values hold at every look. `information` is the number of seeds in each arm that
    tell as much as those of both."""

    information: float = math.nan

    def _tail(self, distance: float, *, two_sided: bool) -> float:
        if not self.has_interval or not self.error > 0:
            return 1.0
        evidence = log_evidence if two_sided else log_evidence_one_sided
        return min(1.0, math.exp(-float(evidence(distance / self.error, self.freedom, self.information))))


def anytime(difference: Estimate, treated: int, baseline: int) -> Anytime:
    """The difference of so many seeds in its arms, with the interval that holds at every look; without one where so few
    seeds can't tell yet, which are fewer than five."""
    information = 2 / (1 / treated + 1 / baseline)
    reach = difference.error * reaching(ALPHA, difference.freedom, information) if difference.error > 0 else math.nan
    said = {field.name: getattr(difference, field.name) for field in fields(Estimate)}
    ends = (math.nan, math.nan)
    if math.isfinite(reach):
        ends = difference.mean - reach, difference.mean + reach
    return Anytime(**said | {"low": ends[0], "high": ends[1], "information": information})


def log_evidence(t: _Numbers, freedom: _Numbers, information: _Numbers) -> NDArray[np.float64]:
    """The logarithm of the evidence against no difference, a likelihood ratio, in a t statistic."""
    shrunk = 1 / (1 + np.divide(information, PRIOR_SEEDS))
    squares = np.square(t)
    found: NDArray[np.float64] = np.log(shrunk) / 2 + (np.add(freedom, 1) / 2) * np.log(
        (freedom + squares) / (freedom + shrunk * squares)
    )
    return found


def log_evidence_one_sided(t: _Numbers, freedom: _Numbers, information: _Numbers) -> NDArray[np.float64]:
    """The same against a difference of 0 or less, by the half of the prior above 0: what the whole has found, times
    twice the share of it that lies above 0 by now."""
    shrunk = 1 / (1 + np.divide(information, PRIOR_SEEDS))
    more = np.add(freedom, 1)
    place = np.sqrt(1 - shrunk) * t * np.sqrt(more / (freedom + shrunk * np.square(t)))
    share = np.maximum(special.stdtr(more, place), 1e-300)
    found: NDArray[np.float64] = log_evidence(t, freedom, information) + np.log(2 * share)
    return found


def reaching(alpha: float, freedom: float, information: float) -> float:
    """How many standard errors the interval of confidence 1 - alpha reaches to either side; infinite where so few seeds
    can't exclude anything."""
    shrunk = 1 / (1 + information / PRIOR_SEEDS)
    ratio = (1 / (alpha * math.sqrt(shrunk))) ** (2 / (freedom + 1))
    return math.sqrt(freedom * (ratio - 1) / (1 - shrunk * ratio)) if shrunk * ratio < 1 else math.inf


@dataclass(frozen=True, slots=True)
class Seen:
    """What the looks at one contrast have shown: the smallest p of no difference and whether that was for the better,
    and the smallest p of a difference as large as the margin. It stays seen: over all looks together each p is below
    5 % by chance in at most 5 % of contrasts."""

    p: float = 1.0
    better: bool = True
    p_beyond: float = 1.0

    def after(self, difference: Estimate, margin: float) -> "Seen":
        """With one more look. One with fewer than LEAST_SEEDS in an arm shows nothing yet: of skewed values so few
        often miss the tail, and look surer than they are."""
        if difference.n < LEAST_SEEDS:
            return self
        surer = difference.p < self.p
        within = -margin <= difference.low and difference.high <= margin
        return Seen(
            difference.p if surer else self.p,
            difference.mean > 0 if surer else self.better,
            min(self.p_beyond, difference.p_beyond(margin)) if within else self.p_beyond,
        )


def judge_seen(seen: Sequence[Seen], others: int = 0) -> list[Judgement]:
    """The verdicts on contrasts that are asked about together, after any number of looks: as `judge_family` has them
    for one. The family has so many `others`, of which nothing is known."""
    unknown = [1.0] * others
    none = holm([one.p for one in seen] + unknown)[: len(seen)]
    beyond = holm([one.p_beyond for one in seen] + unknown)[: len(seen)]
    return [
        Judgement(decided(p, p_beyond, better=one.better, alone=one.p), p, p_beyond)
        for one, p, p_beyond in zip(seen, none, beyond, strict=True)
    ]


def smallest_found(difference: Anytime, tests: int) -> float:
    """The difference that these seeds find four times in five at a single look, at the level that the first of so many
    `tests` has to reach; infinite where so few seeds can find none."""
    found = reaching(ALPHA / tests, difference.freedom, difference.information)
    return difference.error * (found + float(special.stdtrit(difference.freedom, POWER)))


def seeds_for(effect: float, sd: float, tests: int) -> int:
    """The seeds in each arm with which a difference of `effect` is found four times in five at a single look, among so
    many `tests`, where one seed's difference varies by `sd`; MOST_SEEDS stands for that many or more."""
    counts = np.unique(np.geomspace(3, MOST_SEEDS, 2000).astype(int))
    errors = sd / np.sqrt(counts)
    enough = [
        effect >= error * (reaching(ALPHA / tests, n - 1, n) + float(special.stdtrit(n - 1, POWER)))
        for n, error in zip(counts.tolist(), errors.tolist(), strict=True)
    ]
    return int(counts[enough.index(True)]) if any(enough) else MOST_SEEDS
