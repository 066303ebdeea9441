"""The trials that choose RATES and the basic augmentation, measured on held-out training images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.plan.augmentation import BASIC_CANDIDATES
from bench.plan.cells import preset_cell
from bench.plan.factors import find_factors
from bench.plan.protocol import CANDIDATE_RATES, Protocol
from bench.plan.trials import Trial


def rate_trials(architectures: Sequence[str], seeds: int, protocol: Protocol) -> Iterator[Trial]:
    """Each architecture's preset under every (scheduler, batch norm) at every candidate rate."""
    _require_held_out_images(protocol)
    batch_norm, scheduler = find_factors(["batch_norm", "scheduler"])
    for seed in range(seeds):
        for name in architectures:
            for (schedule, norm), rates in CANDIDATE_RATES.items():
                cell = preset_cell(name).with_level(scheduler, schedule).with_level(batch_norm, norm)
                for rate in rates:
                    yield Trial(cell, seed, replace(protocol, lr=rate))


def augmentation_trials(architectures: Sequence[str], seeds: int, protocol: Protocol) -> Iterator[Trial]:
    """Each architecture whose preset has the basic augmentation, under every candidate for it, at its own rate."""
    _require_held_out_images(protocol)
    [augmentation] = find_factors(["augmentation"])
    presets = [preset_cell(name) for name in architectures]
    for seed in range(seeds):
        for preset in presets:
            if preset.levels["augmentation"] == "basic":
                for candidate in BASIC_CANDIDATES:
                    yield Trial(preset.with_level(augmentation, candidate), seed, protocol)


def _require_held_out_images(protocol: Protocol) -> None:
    if protocol.val == 0:
        raise UsageError("--val 0 would choose on test images: hold training images out")
