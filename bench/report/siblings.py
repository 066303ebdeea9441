"""Siblings: cells that a plan trained at their preset's learning rate as well as at their own."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bench.plan.cells import Cell, preset_cell


def at_presets_rate(rows: pd.DataFrame, cells: Mapping[str, Cell], same: Sequence[str]) -> "pd.Series[bool]":
    """Which rows are siblings, so that a technique can be told from its rate: of cells that differ from their preset in
    one factor, at the rate that was selected for the preset, where both are there at their own rates with that seed.

    `rows` have their cell's label in `cell`; rows that agree in the columns `same` are of one protocol.
    """
    at_own = rows["lr"] == rows["selected_lr"]
    presets = [label for label, cell in cells.items() if cell.is_preset]
    toggled = [label for label, cell in cells.items() if len(cell.differences(preset_cell(cell.architecture))) == 1]
    found = (~at_own & rows["cell"].isin(toggled)).to_numpy(copy=True)
    for of, own in (
        (["cell"], rows[at_own]),
        (["architecture", "lr"], rows[at_own & rows["cell"].isin(presets)]),
    ):
        columns = [*same, "seed", *of]
        known = set(own[columns].itertuples(index=False, name=None)) if found.any() else set()
        asked = rows.loc[found, columns].itertuples(index=False, name=None)
        found[np.flatnonzero(found)] = [values in known for values in asked]
    return pd.Series(found, rows.index)
