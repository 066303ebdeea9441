"""Which learning rate is best for each (scheduler, batch norm), from rows measured on held-out training images."""

import pandas as pd
from tabulate import tabulate

# Of rates whose mean accuracies differ by no more than this, the lowest is taken: it diverges least. The tie is the
# practical margin of a comparison, 0.05 points, far below the sampling error of 5,000 images at 99 % (0.14 points).
TIE = 0.0005


def selection_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per scheduler, batch norm and rate: mean `accuracy` on held-out images, `lowest` and `n`.

    The mean is over architectures and seeds. A trial that diverged counts as chance (one in ten), the worst that a rate
    can do. `chosen` marks the lowest rate within TIE of the highest mean.
    """
    counted = rows[rows["status"] != "failed"].copy()
    counted["val_accuracy"] = counted["val_accuracy"].fillna(0.1)
    groups = counted.groupby(["scheduler", "batch_norm", "lr"])["val_accuracy"]
    table = groups.agg(accuracy="mean", lowest="min", n="count").reset_index()
    highest = table.groupby(["scheduler", "batch_norm"])["accuracy"].transform("max")
    tied = table[table["accuracy"] >= highest - TIE]
    table["chosen"] = table.index.isin(tied.groupby(["scheduler", "batch_norm"])["lr"].idxmin())
    return table


def render_selection(table: pd.DataFrame) -> str:
    """The table as text for a terminal."""
    lines = table.assign(
        lr=table["lr"].map("{:g}".format),
        accuracy=table["accuracy"].map("{:.2%}".format),
        lowest=table["lowest"].map("{:.2%}".format),
        chosen=table["chosen"].map({True: "chosen", False: ""}),
    )
    headers = {"batch_norm": "batch norm", "accuracy": "val accuracy", "chosen": ""}
    return tabulate(lines.rename(columns=headers).to_dict("list"), headers="keys", disable_numparse=True)
