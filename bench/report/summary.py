"""The table at the end of a run: one line per cell."""

from collections.abc import Sequence

import pandas as pd
from tabulate import tabulate

from bench.plan.cells import Cell
from bench.plan.factors import FACTORS, format_level, level_of


def summary_table(cells: Sequence[Cell], trials: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One line per cell, in the order given. Accuracies in percent, their sd in points, speeds in images/s.

    The accuracy is the last epoch's, on the test set or, for rows that held training images out, on those. Speeds are medians
    over the samples of timings.csv, with one thread; empty where nothing was timed.
    """
    split = "val" if (trials["val"] > 0).any() else "test"
    lines = []
    for cell in cells:
        rows = trials[_selects(trials, cell, [factor.name for factor in FACTORS])]
        accuracy = rows[f"{split}_accuracy"].dropna().astype(float) * 100
        lines.append(
            {
                "cell": cell.label,
                f"{split} accuracy %": accuracy.mean(),
                "sd": accuracy.std(),
                "n": len(accuracy),
                "lr": rows["lr"].iloc[0] if len(rows) else None,
                "parameters": rows["parameters"].iloc[0] if len(rows) else None,
                "train images/s": _median_speed(timings, cell, "train"),
                "inference images/s": _median_speed(timings, cell, "inference"),
                "latency ms": _median_latency(timings, cell),
            }
        )
    return pd.DataFrame(lines)


def render(table: pd.DataFrame) -> str:
    """The table as text for a terminal."""
    formats = {
        "sd": "{:.2f}",
        "n": "{:.0f}",
        "lr": "{:g}",
        "parameters": "{:,.0f}",
        "train images/s": "{:,.0f}",
        "inference images/s": "{:,.0f}",
        "latency ms": "{:.2f}",
    }
    text = table.astype(object)
    for name in table.columns[1:]:
        form = formats.get(name, "{:.2f}")
        text[name] = [form.format(value) if pd.notna(value) else "" for value in table[name]]
    right = ("left",) + ("right",) * (len(table.columns) - 1)
    return tabulate(
        text.to_dict("list"), headers="keys", tablefmt="simple", colalign=right, disable_numparse=True
    )


def outcome_counts(trials: pd.DataFrame) -> dict[str, int]:
    """How many rows are done, diverged and failed."""
    counts = trials["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in ("done", "diverged", "failed")}


def _selects(rows: pd.DataFrame, cell: Cell, factors: Sequence[str]) -> "pd.Series[bool]":
    chosen = rows["architecture"] == cell.architecture
    for factor in FACTORS:
        if factor.name in factors:
            level = level_of(cell.levels, factor)
            written = level if isinstance(level, float) else format_level(level)
            chosen &= rows[factor.name] == written
    return chosen


def _median_speed(timings: pd.DataFrame, cell: Cell, metric: str) -> float | None:
    """Images per second."""
    samples = _samples(timings, cell, metric)
    return float((samples["images"] / samples["seconds"]).median()) if len(samples) else None


def _median_latency(timings: pd.DataFrame, cell: Cell) -> float | None:
    """Milliseconds from one image to its logits."""
    samples = _samples(timings, cell, "latency")
    return float((samples["seconds"] / samples["images"]).median() * 1000) if len(samples) else None


def _samples(timings: pd.DataFrame, cell: Cell, metric: str) -> pd.DataFrame:
    rows = timings[timings["metric"] == metric]
    factors = [factor.name for factor in FACTORS if factor.changes_network]
    return rows[_selects(rows, cell, factors + ["augmentation"] * (metric == "train"))]
