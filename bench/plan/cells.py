"""A cell: an architecture and one level per factor."""

from dataclasses import dataclass, replace

from architectures import registry
from architectures.spec import Architecture, Levels
from bench.errors import UsageError
from bench.plan.factors import FACTORS, Factor, Level, format_level, level_of


@dataclass(frozen=True, slots=True)
class Cell:
    """What is compared with what: `architecture` is a registered name."""

    architecture: str
    levels: Levels

    def with_level(self, factor: Factor, level: Level) -> "Cell":
        """The same cell but for one factor."""
        changed: dict[str, Level] = {factor.name: level}
        return replace(self, levels=replace(self.levels, **changed))  # type: ignore[arg-type]  # names are FACTORS'

    def differences(self, other: "Cell") -> list[Factor]:
        """The factors whose levels differ, in the order of FACTORS."""
        return [f for f in FACTORS if level_of(self.levels, f) != level_of(other.levels, f)]

    @property
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
    def shapes(self) -> tuple[str, bool, bool]:
        """What decides the shapes of the network's weights; trials that share it can train as one stack."""
        return self.architecture, self.levels.batch_norm, self.levels.gap

    @property
    def network(self) -> tuple[str, bool, bool, float]:
        """What decides what the network computes and costs; cells that share it share timings."""
        return *self.shapes, self.levels.dropout


def preset_cell(architecture: str) -> Cell:
    """The cell that an architecture was published as. Raises UsageError for an unknown name."""
    return Cell(architecture, find_architecture(architecture).preset)


def find_architecture(name: str) -> Architecture:
    """The registered architecture. Raises UsageError with near matches."""
    try:
        return registry.get(name)
    except registry.UnknownArchitectureError as error:
        raise UsageError(str(error)) from None
