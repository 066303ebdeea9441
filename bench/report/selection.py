"""Which learning rate is best for each (scheduler, batch norm), from rows measured on held-out training images."""

import pandas as pd
from tabulate import tabulate


def selection_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per scheduler, batch norm and rate: validation accuracy averaged over architectures and seeds.

    A trial that diverged counts as chance (one in ten): it is the worst that a rate can do. `best` marks the highest mean.
    """
    counted = rows[rows["status"] != "failed"].copy()
    counted["val_accuracy"] = counted["val_accuracy"].astype(float).fillna(0.1)
    table = (
        counted.groupby(["scheduler", "batch_norm", "lr"])["val_accuracy"]
        .agg(["mean", "min", "count"])
        .reset_index()
    )
    highest = table.groupby(["scheduler", "batch_norm"])["mean"].transform("max")
    table["best"] = table["mean"] == highest
    return table


def render_selection(table: pd.DataFrame) -> str:
    """The table as text for a terminal."""
    return tabulate(
        [
            (
                row.scheduler,
                row.batch_norm,
                f"{row.lr:g}",
                f"{row.mean:.2%}",
                f"{row.min:.2%}",
                row.count,
                "best" if row.best else "",
            )
            for row in table.rename(columns={"mean": "mean_", "min": "min_", "count": "n"})
            .rename(columns={"mean_": "mean", "min_": "min", "n": "count"})
            .itertuples(index=False)
        ],
        headers=("scheduler", "batch norm", "lr", "val accuracy", "lowest", "n", ""),
    )
