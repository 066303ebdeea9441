"""The trials that choose a study's rates and the basic augmentation, measured on held-out training images."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.plan.augmentation import BASIC_CANDIDATES
from bench.plan.catalogue import catalogue, find_architecture, find_factors
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial


def rate_trials(architectures: Sequence[str], seeds: Iterable[int], protocol: Protocol) -> Iterator[Trial]:
    """Each architecture's preset under every combination of the levels that rates depend on, at every rate to try."""
    _require_held_out_images(protocol)
    rates = catalogue().rates
    factors = [catalogue().by_name[name] for name in rates.by]
    for seed in seeds:
        for name in architectures:
            applying = [find_architecture(name).applies(factor) for factor in factors]
            for levels, tried in rates.tried.items():
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
