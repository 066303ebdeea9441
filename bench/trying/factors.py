"""Whether a level really changes what is trained."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor, level_of
from bench.plan.levels import format_level
from bench.train.called import place_of
from bench.trying.steps import Left


@dataclass(frozen=True, slots=True)
class Tried:
    """What two steps of a cell left, and the digests of its network and of its recipe."""

    left: Left
    network: str
    recipe: str


def idle_levels(tried: Mapping[Cell, Tried]) -> tuple[list[tuple[Cell, str]], list[tuple[Cell, str]]]:
    """The levels that change nothing that two steps show, in any two cells that differ in nothing else: those that
    change neither network nor recipe, which are wrong, and those that do and may act later."""
    acts: set[tuple[str, str, object]] = set()
    seen: dict[tuple[str, str, object], tuple[Cell, Factor, bool]] = {}
    for cell, here in tried.items():
        preset = preset_cell(cell.architecture)
        for factor in cell.differences(preset):
            level = level_of(cell.levels, factor)
            without = tried.get(cell.with_level(factor, level_of(preset.levels, factor)))
            if without is None:
                continue
            key = cell.architecture, factor.name, level
            if here.left.bits != without.left.bits:
                acts.add(key)
            differs = (here.network, here.recipe) != (without.network, without.recipe)
            seen[key] = cell, factor, differs or (key in seen and seen[key][2])
    idle, late = [], []
    for key, (cell, factor, differs) in seen.items():
        if key not in acts:
            (late if differs else idle).append((cell, _said(cell, factor, differs)))
    return idle, late


def _said(cell: Cell, factor: Factor, differs: bool) -> str:
    preset = level_of(preset_cell(cell.architecture).levels, factor)
    level = format_level(level_of(cell.levels, factor))
    if differs:
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
