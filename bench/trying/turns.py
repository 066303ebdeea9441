"""The order in which cells are tried, so that what the time is too short for is what matters least."""

from collections.abc import Sequence

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import toggles


def in_turns(cells: Sequence[Cell]) -> list[Cell]:
    """The cells in the order in which they are tried, and what stands between them and their presets: presets, then
    single changes of them, a model after the other, then the rest."""
    names = list(dict.fromkeys(cell.architecture for cell in cells))
    varied = [
        factor
        for factor in catalogue().factors
        if any(factor in cell.differences(preset_cell(cell.architecture)) for cell in cells)
    ]
    single = [cell for name in names for cell in toggles([name], varied)]
    wanted = {(cell.architecture, factor.name, cell.levels[factor.name]) for cell in cells for factor in varied}
    near = [
        cell
        for cell in single
        if all(
            (cell.architecture, factor.name, cell.levels[factor.name]) in wanted
            for factor in cell.differences(preset_cell(cell.architecture))
        )
    ]
    return list(dict.fromkeys([*(preset_cell(name) for name in names), *near, *cells]))
