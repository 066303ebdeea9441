"""How cells are chosen. A design is a generator of cells from architectures and factors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from bench.errors import UsageError
from bench.plan.catalogue import catalogue, find_architecture
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


def transfer(architectures: Sequence[str], factors: Sequence[Factor]) -> Iterator[Cell]:
    """Every combination of what trainings start from with how many images they have."""
    return factorial(architectures, factors)


def varied(design: str) -> tuple[Factor, ...]:
    """The factors that a design varies where none are named: those that are its own, or without any those that are no
    design's own. Raises UsageError where the study has none for a design that needs its own."""
    factors = catalogue().factors
    own = tuple(factor for factor in factors if factor.design == design)
    if design in OWN_FACTORS and not own:
        raise UsageError(
            f"--design {design} varies factors that say design={design!r}, and this study has none: name some, as in "
            "--factors pretraining"
        )
    return own or tuple(factor for factor in factors if not factor.design)


def _applying(architecture: str, factors: Sequence[Factor]) -> list[Factor]:
    found = find_architecture(architecture)
    return [factor for factor in factors if found.applies(factor)]


# Designs whose cells are presets and single changes of them.
ONE_CHANGE = frozenset({"toggles"})

# Designs that vary factors of their own.
OWN_FACTORS = frozenset({"transfer"})

Design = Callable[[Sequence[str], Sequence[Factor]], Iterator[Cell]]

DESIGNS: Mapping[str, Design] = {
    "presets": presets,
    "toggles": toggles,
    "factorial": factorial,
    "path": path,
    "transfer": transfer,
}
