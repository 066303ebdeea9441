"""The trials that choose a study's rates and the basic augmentation, measured on held-out training images."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.plan.augmentation import BASIC_CANDIDATES
from bench.plan.catalogue import ARCHITECTURE, catalogue, find_architecture, find_factors
from bench.plan.cells import preset_cell
from bench.plan.factors import Factor
from bench.plan.levels import Level
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial

# A combination's candidates grow by so many to a side at most.
MOST_WIDENINGS = 3

# Rates to try, by the levels of the factors that the study's rates depend on.
Candidates = Mapping[tuple[Level, ...], tuple[float, ...]]


def rate_factors() -> list[Factor]:
    """The factors that the study's rates depend on. What else they may go by, the architecture, is no factor: every
    architecture is trained at every candidate, and the rows tell whether one needs a rate of its own."""
    return [catalogue().by_name[name] for name in catalogue().rates.by if name != ARCHITECTURE]


def first_candidates(protocol: Protocol) -> Candidates:
    """The rates that the study says to try under a protocol, in ascending order."""
    rates = catalogue().rates_for(protocol.dataset, protocol.optimizer)
    found: dict[tuple[Level, ...], set[float]] = {}
    for key, tried in rates.tried.items():
        levels = tuple(level for name, level in zip(rates.by, key, strict=True) if name != ARCHITECTURE)
        found.setdefault(levels, set()).update(tried)
    return {levels: tuple(sorted(tried)) for levels, tried in found.items()}


def widened(
    candidates: Candidates, first: Candidates, lower: Iterable[tuple[Level, ...]], upper: Iterable[tuple[Level, ...]]
) -> Candidates:
    """With the next rate below for the combinations `lower`, whose best is the lowest, and above for `upper`. The same
    where they have been widened so often, from the `first` ones on, that it isn't worth more."""
    wider = dict(candidates)
    for levels in lower:
        if sum(rate < first[levels][0] for rate in wider[levels]) < MOST_WIDENINGS:
            wider[levels] = (_next_rate(wider[levels][0], -1), *wider[levels])
    for levels in upper:
        if sum(rate > first[levels][-1] for rate in wider[levels]) < MOST_WIDENINGS:
            wider[levels] = (*wider[levels], _next_rate(wider[levels][-1], 1))
    return wider


def _next_rate(rate: float, direction: int) -> float:
    """The next one of ..., 0.01, 0.03, 0.1, 0.3, ... that is well below or above."""
    exponent = math.floor(math.log10(rate))
    ladder = [float(f"{digit}e{power}") for power in range(exponent - 2, exponent + 3) for digit in (1, 3)]
    if direction < 0:
        return max(step for step in ladder if step < rate / _WELL)
    return min(step for step in ladder if step > rate * _WELL)


# A rate that differs by less than this factor is hardly another one.
_WELL = 1.5


def rate_trials(
    architectures: Sequence[str], seeds: Iterable[int], protocol: Protocol, candidates: Candidates
) -> Iterator[Trial]:
    """Each architecture's preset under every combination of the levels that rates depend on, at every rate to try: the
    same architectures and seeds for all, so that a combination's rate is no matter of who was asked."""
    _require_held_out_images(protocol)
    factors = rate_factors()
    for seed in seeds:
        for name in architectures:
            applying = [find_architecture(name).applies(factor) for factor in factors]
            for levels, tried in candidates.items():
                if not all(fits or level == f.off for fits, f, level in zip(applying, factors, levels, strict=True)):
                    continue
                cell = preset_cell(name)
                for factor, level in zip(factors, levels, strict=True):
                    cell = cell.with_level(factor, level)
                for rate in tried:
                    yield Trial(cell, seed, replace(protocol, lr=rate))


def augmentation_trials(architectures: Sequence[str], seeds: Iterable[int], protocol: Protocol) -> Iterator[Trial]:
    """Each architecture whose preset has the basic augmentation, under every candidate for it, at its own rate."""
    _require_held_out_images(protocol)
    [augmentation] = find_factors(["augmentation"])
    presets = [preset_cell(name) for name in architectures]
    for seed in seeds:
        for preset in presets:
            if preset.levels["augmentation"] == augmentation.on:
                for candidate in BASIC_CANDIDATES:
                    yield Trial(preset.with_level(augmentation, candidate), seed, protocol)


def _require_held_out_images(protocol: Protocol) -> None:
    if protocol.val == 0:
        raise UsageError("--val 0 would choose on test images: hold training images out")
