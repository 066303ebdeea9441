"""What `bench check quality` trains on each data set of the built-in study.

digits. As published, these networks say little on so few images: plain model1 stays at chance for hundreds of steps,
and a rate that never drops leaves accuracies that differ by 5 to 10 points from seed to seed. With batch norm and the
one-cycle schedule on every architecture, batches of 32 and 10 epochs they end at 94 to 98 % with an sd of about one
point. The same code with AVX2 in place of AVX-512 moves single seeds by an sd of 0.6 to 2.7 points and the means of ten
by half a point at most. Hence a margin of 3 points: five seeds can tell a loss of twice that from none.

mnist. The presets as published but for three epochs. It takes minutes, and runs where its files are there and a
baseline of it is committed, or where `--dataset mnist` asks for it. The power that is printed is at that baseline's
spread.

Both train in fp32: it is the precision that every processor has.
"""

from collections.abc import Callable, Mapping

from bench.plan.catalogue import catalogue, find_factors
from bench.plan.cells import preset_cell
from bench.plan.checks import Plan
from bench.plan.protocol import Protocol


def digits() -> Plan:
    """Every architecture with batch norm and the one-cycle schedule."""
    batch_norm, scheduler = find_factors(["batch_norm", "scheduler"])
    cells = [
        preset_cell(name).with_level(batch_norm, True).with_level(scheduler, "onecycle")
        for name in catalogue().architectures
    ]
    return Plan(tuple(cells), Protocol("digits", epochs=10, batch_size=32), seeds=5, margin=0.03)


def mnist() -> Plan:
    """The presets."""
    cells = tuple(map(preset_cell, catalogue().architectures))
    return Plan(cells, Protocol("mnist", epochs=3), seeds=5, margin=0.01)


CHECKS: Mapping[str, Callable[[], Plan]] = {"digits": digits, "mnist": mnist}
