"""The table at the end of a run: one line per cell."""

from collections.abc import Sequence

import pandas as pd
from tabulate import tabulate

from bench.plan.catalogue import catalogue, written_levels
from bench.plan.cells import Cell, preset_cell

_FORMATS = {
    "test acc %": "{:.2f}",
    "val acc %": "{:.2f}",
    "sd": "{:.2f}",
    "n": "{:.0f}",
    "params": "{:,.0f}",
    "train img/s": "{:,.0f}",
    "infer img/s": "{:,.0f}",
}
_DIFFERENCE = ("over preset", "interval (95 %)")


def summary_table(cells: Sequence[Cell], trials: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One line per cell, in the order given. Accuracies in percent, their sd in points, speeds in images/s.

    The accuracy is the last epoch's, on the test set or, for rows that held training images out, on those; of these the
    difference from the preset is here as well, with its 95 % interval, over all seeds of both, and no speed. Speeds are
    medians over the samples of timings.csv, with one thread; empty where nothing was timed.
    """
    held_out = bool((trials["val"] > 0).any())
    split = "val" if held_out else "test"
    networks = catalogue().network_columns
    trained = _ByLevels(timings[timings["metric"] == "train"], catalogue().step_columns)
    inferred = _ByLevels(timings[timings["metric"] == "inference"], networks)
    of_cells = _ByLevels(trials, catalogue().columns)
    lines: list[dict[str, object]] = []
    for cell in cells:
        rows = of_cells.rows(cell)
        accuracy = rows[f"{split}_accuracy"].dropna() * 100
        line = {
            "cell": cell.label,
            f"{split} acc %": accuracy.mean(),
            "sd": accuracy.std(),
            "n": len(accuracy),
            "params": rows["parameters"].iloc[0] if len(rows) else None,
        }
        if held_out:
            line |= _over_preset(cell, of_cells)
        else:
            speeds = _median_speed(trained.rows(cell)), _median_speed(inferred.rows(cell))
            line |= dict(zip(("train img/s", "infer img/s"), speeds, strict=True))
        lines.append(line)
    return pd.DataFrame(lines)


def _over_preset(cell: Cell, of_cells: "_ByLevels") -> dict[str, str]:
    """By how many points the accuracy on held-out images is higher than the preset's, and how surely."""
    from bench.report.show.words import points, points_interval
    from bench.report.stats.contrast import difference_of

    preset = preset_cell(cell.architecture)
    rows, of_preset = (of_cells.rows(one).dropna(subset="val_accuracy") for one in (cell, preset))
    if cell == preset or rows.empty or of_preset.empty:
        return dict.fromkeys(_DIFFERENCE, "")
    values, of_preset_values = (
        dict(zip(one["seed"].tolist(), one["val_accuracy"].tolist(), strict=True)) for one in (rows, of_preset)
    )
    found = difference_of(values, of_preset_values, 1 / int(rows["val"].iloc[0]))
    return dict(zip(_DIFFERENCE, (points(found.mean), points_interval(found.low, found.high)), strict=True))


def render(table: pd.DataFrame) -> str:
    """The table as text for a terminal, 80 columns wide for the registered models."""
    text: dict[str, list[str]] = {"cell": table["cell"].tolist()}
    for name in table.columns[1:]:
        two_lines = name.replace(" ", "\n", 1)
        text[two_lines] = [_FORMATS.get(name, "{}").format(value) if pd.notna(value) else "" for value in table[name]]
    align = ("left",) + ("right",) * (len(table.columns) - 1)
    return tabulate(text, headers="keys", tablefmt="simple", colalign=align, disable_numparse=True)


def outcome_counts(trials: pd.DataFrame) -> dict[str, int]:
    """How many rows are done, diverged and failed."""
    counts = trials["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in ("done", "diverged", "failed")}


class _ByLevels:
    """Rows by their architecture and their levels of `factors`."""

    def __init__(self, rows: pd.DataFrame, factors: Sequence[str]) -> None:
        self._factors = factors
        self._none = rows.iloc[:0]
        self._rows = dict(iter(rows.groupby(["architecture", *factors], sort=False)))

    def rows(self, cell: Cell) -> pd.DataFrame:
        """The rows of a cell, or of a network."""
        written = written_levels(cell.levels)
        return self._rows.get((cell.architecture, *(written[factor] for factor in self._factors)), self._none)


def _median_speed(samples: pd.DataFrame) -> float | None:
    """Images per second."""
    return float((samples["images"] / samples["seconds"]).median()) if len(samples) else None
