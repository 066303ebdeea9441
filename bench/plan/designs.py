"""How cells are chosen. A design is a generator of cells from architectures and factors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from bench.errors import UsageError
from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of


def presets(architectures: Sequence[str], _factors: Sequence[Factor]) -> Iterator[Cell]:
    """Every architecture at its preset."""
    for name in architectures:
        yield preset_cell(name)


def toggles(architectures: Sequence[str], factors: Sequence[Factor]) -> Iterator[Cell]:
    """Every architecture at its preset, then with every other level of each factor, one at a time."""
    for name in architectures:
        preset = preset_cell(name)
        yield preset
        for factor in _applying(name, factors):
            for level in factor.flips(level_of(preset.levels, factor)):
                yield preset.with_level(factor, level)


def factorial(architectures: Sequence[str], factors: Sequence[Factor]) -> Iterator[Cell]:
    """Every combination of the factors' levels on every architecture; other factors stay as in the preset."""
    for name in architectures:
        applying = _applying(name, factors)
        for levels in product(*(factor.levels for factor in applying)):
            cell = preset_cell(name)
            for factor, level in zip(applying, levels, strict=True):
                cell = cell.with_level(factor, level)
            yield cell


def path(architectures: Sequence[str], factors: Sequence[Factor]) -> Iterator[Cell]:
    """From the first architecture's preset towards the second's: one factor more at each step, then the second."""
    if len(architectures) != 2:
        raise UsageError("--design path leads from one model to another: name two, as in --models A,B")
    start, end = (preset_cell(name) for name in architectures)
    cell = start
    yield cell
    applying = _applying(start.architecture, factors)
    for factor in start.differences(end):
        if factor in applying:
            cell = cell.with_level(factor, level_of(end.levels, factor))
            yield cell
    if end != cell:
        yield end


def _applying(architecture: str, factors: Sequence[Factor]) -> list[Factor]:
    found = find_architecture(architecture)
    return [factor for factor in factors if found.applies(factor)]


# Designs whose cells are presets and single changes of them.
ONE_CHANGE = frozenset({"toggles"})

Design = Callable[[Sequence[str], Sequence[Factor]], Iterator[Cell]]

DESIGNS: Mapping[str, Design] = {
    "presets": presets,
    "toggles": toggles,
    "factorial": factorial,
    "path": path,
}
