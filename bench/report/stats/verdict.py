"""From an interval to a word."""

import math
from enum import StrEnum

from bench.report.stats.estimate import Estimate


class Verdict(StrEnum):
    """What a contrast says about a technique."""

    HELPS = "helps"
    HURTS = "hurts"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


def judge(difference: Estimate, margin: float) -> Verdict:
    """The verdict on a difference (more is better) against a practical margin, in the difference's unit.

    - equivalent: the whole interval lies within the margin of 0: whatever the difference is, it is too small to matter;
    - helps, hurts: the interval leaves 0 out and the mean reaches the margin;
    - inconclusive: anything else, and always without an interval. It is not the same as no effect.
    """
    if math.isnan(difference.low):
        return Verdict.INCONCLUSIVE
    if -margin <= difference.low and difference.high <= margin:
        return Verdict.EQUIVALENT
    if difference.low > 0 and difference.mean >= margin:
        return Verdict.HELPS
    if difference.high < 0 and difference.mean <= -margin:
        return Verdict.HURTS
    return Verdict.INCONCLUSIVE
