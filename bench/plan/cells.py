"""A cell: an architecture and one level per factor."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from architectures import registry
from architectures.spec import Architecture, Levels
from bench.errors import UsageError
from bench.plan.factors import FACTORS, Factor, Level, check_preset, format_level, level_of, read_levels


@dataclass(frozen=True)
class Cell:
    """What is compared with what: `architecture` is a registered name."""

    architecture: str
    levels: Levels

    def with_level(self, factor: Factor, level: Level) -> "Cell":
        """The same cell but for one factor."""
        return Cell(self.architecture, Levels({**self.levels, factor.name: level}))

    def differences(self, other: "Cell") -> list[Factor]:
        """The factors whose levels differ, in the order of FACTORS."""
        return [f for f in FACTORS if level_of(self.levels, f) != level_of(other.levels, f)]

    @cached_property
    def label(self) -> str:
        """The architecture's name, then each level that is not its preset's: `model1 batch_norm=on`."""
        changed = self.differences(preset_cell(self.architecture))
        return " ".join(
            [
                self.architecture,
                *(f"{f.name}={format_level(level_of(self.levels, f))}" for f in changed),
            ]
        )

    @property
    def shapes(self) -> tuple[Level, ...]:
        """What decides the shapes of the network's weights; trials that share it can train as one stack."""
        return self.architecture, *(level_of(self.levels, f) for f in FACTORS if f.changes_shapes)

    @property
    def network(self) -> tuple[Level, ...]:
        """What decides what the network computes and costs; cells that share it share timings."""
        return self.architecture, *(level_of(self.levels, f) for f in FACTORS if f.changes_network)

    @property
    def step(self) -> "Cell":
        """The same for cells whose training steps cost the same: what doesn't change a step is off."""
        off = {factor.name: factor.off for factor in FACTORS if not factor.changes_step}
        return Cell(self.architecture, Levels({**self.levels, **off}))


def preset_cell(architecture: str) -> Cell:
    """The cell that an architecture was published as. Raises UsageError for an unknown name."""
    preset = find_architecture(architecture).preset
    return Cell(architecture, Levels({factor.name: level_of(preset, factor) for factor in FACTORS}))


@cache
def recorded_cell(values: tuple[Any, ...]) -> Cell | None:
    """The cell that a row names by its architecture and its levels, in the order of FACTORS; None for an architecture
    or a level that there isn't."""
    architecture, *levels = values
    if architecture not in registry.ARCHITECTURES:
        return None
    try:
        return Cell(architecture, read_levels(dict(zip((f.name for f in FACTORS), levels, strict=True))))
    except ValueError:
        return None


def find_architecture(name: str) -> Architecture:
    """The registered architecture. Raises UsageError with near matches, or for a preset that can't be."""
    try:
        architecture = registry.get(name)
    except registry.UnknownArchitectureError as error:
        raise UsageError(str(error)) from None
    _check(architecture.name, architecture.preset)
    return architecture


_check = cache(check_preset)
