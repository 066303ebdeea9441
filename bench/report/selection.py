"""Which learning rate is best for each (scheduler, batch norm), from rows measured on held-out training images."""

import pandas as pd
from tabulate import tabulate


def selection_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per scheduler, batch norm and rate: mean `accuracy` on held-out images, `lowest` and `n`.

    The mean is over architectures and seeds. A trial that diverged counts as chance (one in ten), the worst that a rate
    can do. `best` marks the highest mean, the lowest rate among equals.
    """
    counted = rows[rows["status"] != "failed"].copy()
    counted["val_accuracy"] = counted["val_accuracy"].fillna(0.1)
    groups = counted.groupby(["scheduler", "batch_norm", "lr"])["val_accuracy"]
    table = groups.agg(accuracy="mean", lowest="min", n="count").reset_index()
    best = table.groupby(["scheduler", "batch_norm"])["accuracy"].idxmax()
    table["best"] = table.index.isin(best)
    return table


def render_selection(table: pd.DataFrame) -> str:
    """The table as text for a terminal."""
    lines = table.assign(
        lr=table["lr"].map("{:g}".format),
        accuracy=table["accuracy"].map("{:.2%}".format),
        lowest=table["lowest"].map("{:.2%}".format),
        best=table["best"].map({True: "best", False: ""}),
    )
    headers = {"batch_norm": "batch norm", "accuracy": "val accuracy", "best": ""}
    return tabulate(lines.rename(columns=headers).to_dict("list"), headers="keys", disable_numparse=True)
