"""Whether a level really changes what is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import Level, format_level
from bench.train.called import place_of
from bench.trying.steps import Left


@dataclass(frozen=True, slots=True)
class Tried:
    """What two steps of a cell left, and the digests of its network and of its recipe."""

    left: Left
    network: str
    recipe: str


def idle_levels(
    tried: Mapping[Cell, Tried], on_more: Callable[[Cell], Left], generally: Callable[[Cell], Left]
) -> tuple[list[tuple[Cell, str]], list[tuple[Cell, str]]]:
    """The levels that change nothing that two steps show, in any two cells that differ in nothing else: those that are
    wrong, and those of recipes that differ and so may act later.

    A network acts from its first image on, though a small rate of dropout may not on a few: `on_more` trains a cell on
    more of them. `generally` trains it in the way that recipes of one's own are trained."""
    acts: set[tuple[str, str, Level]] = set()
    seen: dict[tuple[str, str, Level], tuple[Cell, Factor, bool]] = {}
    for cell, here in tried.items():
        preset = preset_cell(cell.architecture)
        for factor in cell.differences(preset):
            key = cell.architecture, factor.name, level_of(cell.levels, factor)
            beside = cell.with_level(factor, level_of(preset.levels, factor))
            without = tried.get(beside)
            if without is None or key in acts:
                continue
            one, other = (here.left, without.left) if factor.change is None else (generally(cell), generally(beside))
            same = one.bits == other.bits
            if same and here.network != without.network:
                same = on_more(cell).bits == on_more(beside).bits
            if not same:
                acts.add(key)
            later = here.recipe != without.recipe or (key in seen and seen[key][2])
            seen[key] = cell, factor, later
    idle: list[tuple[Cell, str]] = []
    late: list[tuple[Cell, str]] = []
    for key, (cell, factor, later) in seen.items():
        if key not in acts:
            (late if later else idle).append((cell, _said(cell, factor, later)))
    return idle, late


def _said(cell: Cell, factor: Factor, later: bool) -> str:
    preset = level_of(preset_cell(cell.architecture).levels, factor)
    level = format_level(level_of(cell.levels, factor))
    if later:
        place = _place(cell, factor)
        return (
            f"{place}{factor.name}={level} of {cell.architecture} changes no number within two steps: as meant, if it "
            "acts later"
        )
    what = (
        "use the keyword in the builder"
        if factor.change is None
        else "let the change return a recipe that differs, as with recipe.with_loss(...)"
    )
    return (
        f"{_place(cell, factor)}{factor.name}={level} changes nothing of {cell.architecture} that "
        f"{factor.name}={format_level(preset)} doesn't do: {what}, or leave the level out"
    )


def _place(cell: Cell, factor: Factor) -> str:
    return place_of(factor.change or find_architecture(cell.architecture).build)
