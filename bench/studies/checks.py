"""What `bench check quality` trains on each data set of the built-in study.

digits. Cells that have every level of every factor between them, trained as a run on the digits trains. The baseline
has what they reach, 95 to 98 % with an sd of half a point to one and a half, and no seed is near chance. The same code
with AVX2 in place of AVX-512 moves means of five seeds by 0.6 points at most. Hence a margin of 3 points: five seeds
can tell a change of twice that from none.

mnist. The presets as published but for three epochs. It takes minutes, and runs where its files are there and a
baseline of it is committed, or where `--dataset mnist` asks for it. The power that is printed is at that baseline's
spread.

Both train in fp32: it is the precision that every processor has. What other precisions promise is tested in steps.
"""

from collections.abc import Callable, Mapping
from typing import cast

from bench.plan.catalogue import catalogue, find_factors
from bench.plan.cells import Cell, preset_cell
from bench.plan.checks import Plan
from bench.plan.levels import Level
from bench.plan.protocol import Optimizer, Protocol


def digits() -> Plan:
    """A few cells with every level of every factor among them, as a run trains them."""
    cells = (
        _cell("model1", batch_norm=True, scheduler="onecycle"),
        _cell("model2", scheduler="onecycle"),
        _cell("model3"),
        _cell("model3", scheduler="step", gap=False, augmentation="none", attention="eca"),
        _cell("model4"),
        _cell("model7", scheduler="cosine", augmentation="none"),
        _cell("model3", batch_norm=False, gap=False, augmentation="none"),
    )
    usual = catalogue().usual_on("digits")
    protocol = Protocol("digits", usual.epochs, usual.batch_size, cast(Optimizer, usual.optimizer))
    return Plan(cells, protocol, seeds=5, margin=0.03)


def _cell(architecture: str, **levels: Level) -> Cell:
    """The architecture's preset with other levels."""
    cell = preset_cell(architecture)
    for factor in find_factors(levels):
        cell = cell.with_level(factor, levels[factor.name])
    return cell


def mnist() -> Plan:
    """The presets of what was published."""
    published = (name for name, one in catalogue().architectures.items() if one.published)
    cells = tuple(map(preset_cell, published))
    return Plan(cells, Protocol("mnist", epochs=3), seeds=5, margin=0.01)


CHECKS: Mapping[str, Callable[[], Plan]] = {"digits": digits, "mnist": mnist}
