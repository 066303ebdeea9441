"""The trials that choose RATES: every candidate rate on every architecture, measured on held-out training images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.plan.cells import preset_cell
from bench.plan.factors import find_factors
from bench.plan.protocol import CANDIDATE_RATES, Protocol
from bench.plan.trials import Trial


def selection_trials(architectures: Sequence[str], seeds: int, protocol: Protocol) -> Iterator[Trial]:
    """Each architecture's preset under every (scheduler, batch norm) at every candidate rate."""
    if protocol.val == 0:
        raise UsageError("--val 0 would choose on test images: hold training images out")
    batch_norm, scheduler = find_factors(["batch_norm", "scheduler"])
    for seed in range(seeds):
        for name in architectures:
            for (schedule, norm), rates in CANDIDATE_RATES.items():
                cell = preset_cell(name).with_level(scheduler, schedule).with_level(batch_norm, norm)
                for rate in rates:
                    yield Trial(cell, seed, replace(protocol, lr=rate))
