"""What `bench check quality` trains on each data set of the built-in study.

digits. As published, these networks say little on so few images: plain model1 stays at chance for hundreds of steps,
and a rate that never drops leaves accuracies of most cells that differ by 5 to 10 points from seed to seed. The cells
here have every level of every factor between them, and end at 94 to 99 % with an sd of half a point to one and a half.
Two of model3 need more steps than batches of 32 give in 10 epochs, and have batches of 16: at a constant rate, and
without batch norm. They were chosen among a dozen for being steady with the seeds 0 to 9 that are trained, the latter
with AVX2 as well; of 25 other seeds none strayed at the constant rate, and five stayed at chance without batch norm. So
other seeds need another look, and another machine may find a seed collapsed that isn't in the baseline: it is named.

The same code with AVX2 in place of AVX-512 moves single seeds by an sd of 0.6 to 2.7 points and means of ten by half
a point at most. Hence a margin of 3 points: five seeds can tell a change of twice that from none.

mnist. The presets as published but for three epochs. It takes minutes, and runs where its files are there and a
baseline of it is committed, or where `--dataset mnist` asks for it. The power that is printed is at that baseline's
spread.

Both train in fp32: it is the precision that every processor has. What other precisions promise is tested in steps.
"""

from collections.abc import Callable, Mapping

from bench.plan.catalogue import catalogue, find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.checks import Plan
from bench.plan.levels import Level
from bench.plan.protocol import Protocol


def digits() -> Plan:
    """A few cells that learn, with every level of every factor among them."""
    constant = _cell("model3", scheduler="step", gap=False, augmentation="none")
    without_norm = _cell("model3", batch_norm=False, gap=False, augmentation="none")
    cells = [
        _cell("model1", batch_norm=True, scheduler="onecycle"),
        _cell("model2", scheduler="onecycle"),
        _cell("model3"),
        constant,
        _cell("model1", batch_norm=True, gap=True, scheduler="cosine", augmentation="none"),
        without_norm,
    ]
    protocol = Protocol("digits", epochs=10, batch_size=32)
    return Plan(tuple(cells), protocol, seeds=5, margin=0.03, batch_sizes={constant: 16, without_norm: 16})


def _cell(architecture: str, **levels: Level) -> Cell:
    """The architecture's preset with other levels."""
    cell = preset_cell(architecture)
    for factor in find_factors(levels):
        cell = cell.with_level(factor, levels[factor.name])
    return cell


def mnist() -> Plan:
    """The presets."""
    cells = tuple(map(preset_cell, catalogue().architectures))
    return Plan(cells, Protocol("mnist", epochs=3), seeds=5, margin=0.01)


CHECKS: Mapping[str, Callable[[], Plan]] = {"digits": digits, "mnist": mnist}
