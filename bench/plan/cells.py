"""A cell: an architecture and one level per factor."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from bench.plan.catalogue import Catalogue, catalogue, find_architecture, read_levels
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level, Levels, format_level


@dataclass(frozen=True)
class Cell:
    """What is compared with what: `architecture` is a name in the catalogue."""

    architecture: str
    levels: Levels

    def with_level(self, factor: Factor, level: Level) -> "Cell":
        """The same cell but for one factor."""
        return Cell(self.architecture, Levels({**self.levels, factor.name: level}))

    def differences(self, other: "Cell") -> list[Factor]:
        """The factors whose levels differ, in the catalogue's order."""
        return [f for f in catalogue().factors if level_of(self.levels, f) != level_of(other.levels, f)]

    @cached_property
    def label(self) -> str:
        """The architecture's name, then each level that is not its preset's: `tiny batch_norm=on`."""
        changed = self.differences(preset_cell(self.architecture))
        return " ".join(
            [
                self.architecture,
                *(f"{f.name}={format_level(level_of(self.levels, f))}" for f in changed),
            ]
        )

    @property
    def is_preset(self) -> bool:
        """Whether every level is that of the architecture's preset."""
        return self == preset_cell(self.architecture)

    @property
    def is_of_own_design(self) -> bool:
        """Whether it differs from its preset in a factor that only a design of its own varies."""
        return any(factor.design for factor in self.differences(preset_cell(self.architecture)))

    @property
    def shapes(self) -> tuple[Level, ...]:
        """What decides the shapes of the network's weights; trials that share it can train as one stack."""
        return self.architecture, *(level_of(self.levels, f) for f in catalogue().factors if f.changes_shapes)

    @property
    def network(self) -> tuple[Level, ...]:
        """What decides what the network computes and costs; cells that share it share timings."""
        return self.architecture, *(level_of(self.levels, f) for f in catalogue().factors if f.changes_network)

    @property
    def keywords(self) -> dict[str, Level]:
        """The levels that the architecture's builder takes."""
        known = find_architecture(self.architecture).keywords
        return {f.name: level_of(self.levels, f) for f in catalogue().factors if f.name in known}

    @property
    def step(self) -> "Cell":
        """The same for cells whose training steps cost the same: what doesn't change a step is off."""
        off = {factor.name: factor.off for factor in catalogue().factors if not factor.changes_step}
        return Cell(self.architecture, Levels({**self.levels, **off}))


def preset_cell(architecture: str) -> Cell:
    """The architecture as it is without any change. Raises UsageError for an unknown name."""
    return Cell(architecture, catalogue().presets[find_architecture(architecture).name])


def recorded_cell(values: tuple[Any, ...]) -> Cell | None:
    """The cell that a row names by its architecture and its levels, in the catalogue's order; None for an architecture
    or a level that there isn't, or a factor switched on that doesn't apply."""
    return _recorded(catalogue(), values)


@cache
def _recorded(known: Catalogue, values: tuple[Any, ...]) -> Cell | None:
    architecture, *levels = values
    if architecture not in known.architectures:
        return None
    try:
        cell = Cell(architecture, read_levels(dict(zip(known.columns, levels, strict=True))))
    except ValueError:
        return None
    idle = [factor for factor in known.factors if not known.architectures[architecture].applies(factor)]
    return cell if all(level_of(cell.levels, factor) == factor.off for factor in idle) else None
