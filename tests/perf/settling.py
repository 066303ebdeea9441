"""Families of contrasts that are settled by simulation, with the harness's own rule and allocation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report.stats.allocation import Pair, differences, next_shares, outlooks
from bench.report.stats.sequential import Anytime, Seen, judge_seen
from bench.report.stats.verdict import SETTLED, Verdict

# The value of a trial of a cell with a seed.
Value = Callable[[Any, int], float]


@dataclass
class Settled:
    """What came of a family: trials, verdicts, how many were trained when each closed, the last differences, and by
    contrast whether every look's interval held the truth."""

    trials: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    closed_at: dict[int, int] = field(default_factory=dict)
    last: list[Anytime | None] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    counts: dict[Any, int] = field(default_factory=dict)


def settle(
    pairs: Sequence[Pair[Any]],
    value: Value,
    margin: float,
    truths: Sequence[float],
    *,
    most: int,
    batch: int,
    trials: float = float("inf"),
    counts: Mapping[Any, int] | None = None,
) -> Settled:
    """Trains, as it were, until everything is settled, no cell can have more than `most` seeds, or so many trials were
    made. `counts` are the seeds that there are before."""
    values: dict[Any, dict[int, float]] = {
        arm: {seed: value(arm, seed) for seed in range(number)} for arm, number in (counts or {}).items()
    }
    out, seen = Settled(covered=[True] * len(pairs)), [Seen()] * len(pairs)
    out.trials = sum(map(len, values.values()))
    looked: list[Anytime | None] = [None] * len(pairs)
    changed = set(range(len(pairs)))
    while True:
        numbers = sorted(changed)
        for number, difference in zip(numbers, differences([pairs[n] for n in numbers], values, 0.0), strict=True):
            looked[number] = difference
            if difference is not None:
                seen[number] = seen[number].after(difference, margin)
                if difference.has_interval and not difference.low <= truths[number] <= difference.high:
                    out.covered[number] = False
        judgements = judge_seen(seen)
        for number, one in enumerate(judgements):
            if one.settled:
                out.closed_at.setdefault(number, out.trials)
        found = outlooks(pairs, values, looked, judgements, margin, most)
        now = {arm: len(own) for arm, own in values.items()}
        shares = next_shares(pairs, found, now, most, batch) if out.trials < trials else []
        if not shares:
            break
        for share in shares:
            own = values.setdefault(share.arm, {})
            first = len(own)
            own.update({seed: value(share.arm, seed) for seed in range(first, first + share.seeds)})
            out.trials += share.seeds
        grown = {share.arm for share in shares}
        changed = {number for number, pair in enumerate(pairs) if {pair.treated, pair.baseline} & grown}
    out.verdicts, out.last = [one.verdict for one in judgements], looked
    out.counts = {arm: len(own) for arm, own in values.items()}
    return out


def drawn(
    generator: np.random.Generator,
    arms: Sequence[Any],
    sds: Sequence[float],
    means: Sequence[float],
    *,
    correlation: float,
    skewed: bool,
    most: int,
) -> Value:
    """Values of seeds that cells share a part of, as paired seeds do; skewed ones have a long tail to the left."""
    size = (most, len(arms))
    noise: NDArray[np.float64] = _noise(generator, size, skewed=skewed)
    common = _noise(generator, (most, 1), skewed=skewed)
    values = np.asarray(means) + np.asarray(sds) * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * noise)
    places = {arm: place for place, arm in enumerate(arms)}
    return lambda arm, seed: float(values[seed, places[arm]])


def _noise(generator: np.random.Generator, size: tuple[int, int], *, skewed: bool) -> NDArray[np.float64]:
    return 1 - generator.exponential(size=size) if skewed else generator.normal(size=size)


def false_verdict(verdicts: Sequence[Verdict], truths: Sequence[float], margin: float) -> bool:
    """Whether any settled verdict is wrong: helps or hurts where it doesn't, equivalent where it isn't."""
    return any(
        verdict in SETTLED
        and not {
            Verdict.HELPS: truth > 0,
            Verdict.HURTS: truth < 0,
            Verdict.EQUIVALENT: abs(truth) < margin,
        }[verdict]
        for verdict, truth in zip(verdicts, truths, strict=True)
    )
