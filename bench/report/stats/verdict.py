"""From intervals to words, so that the words hold for a whole family of contrasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from bench.report.stats.estimate import CONFIDENCE, Estimate

ALPHA = 1 - CONFIDENCE


class Verdict(StrEnum):
    """What a contrast says about a technique."""

    HELPS = "helps"
    HURTS = "hurts"
    EQUIVALENT = "equivalent"
    TENTATIVE = "tentative"
    INCONCLUSIVE = "inconclusive"


SETTLED = (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the p values that it rests on, adjusted for the family: `p` of no difference, `p_beyond` of one as
    large as the margin."""

    verdict: Verdict
    p: float
    p_beyond: float

    @property
    def settled(self) -> bool:
        """Whether more seeds have nothing to decide."""
        return self.verdict in SETTLED


def judge(difference: Estimate, margin: float) -> Verdict:
    """The verdict on a difference that is asked about alone: a family of one."""
    return judge_family([difference], margin)[0].verdict


def judge_family(differences: Sequence[Estimate], margin: float) -> list[Judgement]:
    """The verdicts on differences (more is better) that are asked about together, against a practical margin in their
    unit. In the whole family the chance of any false helps or hurts is at most 5 %, and so is that of any false
    equivalent (Holm 1979, which holds whatever the contrasts share).

    - equivalent: the whole 95 % interval lies within the margin of 0, and after Holm's adjustment too the difference is
      surely smaller than the margin: whatever it is, it is too small to matter;
    - helps, hurts: after Holm's adjustment the difference is surely not 0, and not equivalent;
    - tentative: the 95 % interval leaves 0 out, but one in so many contrasts may do so by chance;
    - inconclusive: anything else, and always without an interval. It is not the same as no effect.
    """
    none, beyond = holm([d.p for d in differences]), holm([d.p_beyond(margin) for d in differences])
    return [
        Judgement(_verdict(difference, margin, p, p_beyond), p, p_beyond)
        for difference, p, p_beyond in zip(differences, none, beyond, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of one family, adjusted for their number (Holm 1979). statsmodels' own has Python look for garbage
    at each call, which takes a tenth of a second."""
    ordered = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    scaled = np.asarray(p_values, dtype=float)[ordered] * np.arange(len(p_values), 0, -1)
    adjusted[ordered] = np.minimum(np.maximum.accumulate(scaled), 1)
    return [float(p) for p in adjusted]


def decided(p: float, p_beyond: float, *, better: bool, alone: float) -> Verdict:
    """The verdict that p values make, adjusted for the family, with `p_beyond` 1 where the interval isn't within the
    margin; `alone` is the p of no difference before that."""
    if p_beyond <= ALPHA:
        return Verdict.EQUIVALENT
    if p <= ALPHA:
        return Verdict.HELPS if better else Verdict.HURTS
    return Verdict.TENTATIVE if alone <= ALPHA else Verdict.INCONCLUSIVE


def _verdict(difference: Estimate, margin: float, p: float, p_beyond: float) -> Verdict:
    within = -margin <= difference.low and difference.high <= margin
    return decided(p, p_beyond if within else 1.0, better=difference.mean > 0, alone=difference.p)
