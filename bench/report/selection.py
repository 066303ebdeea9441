"""Which learning rates and which basic augmentation are best, from rows measured on held-out training images."""

import pandas as pd
from tabulate import tabulate

from bench.plan.augmentation import BASIC_CANDIDATES

# Of rates whose mean accuracies differ by no more than this, the lowest is taken: it diverges least. The tie is the
# practical margin of a comparison, 0.05 points, far below the sampling error of 5,000 images at 99 % (0.14 points).
TIE = 0.0005


def rate_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per scheduler, batch norm and rate: mean `accuracy` on held-out images, `lowest` and `n`.

    The mean is over architectures and seeds. `chosen` marks the lowest rate within TIE of the highest mean.
    """
    table = _means(rows[~rows["augmentation"].isin(list(BASIC_CANDIDATES))], ["scheduler", "batch_norm", "lr"])
    highest = table.groupby(["scheduler", "batch_norm"])["accuracy"].transform("max")
    tied = table[table["accuracy"] >= highest - TIE]
    table["chosen"] = table.index.isin(tied.groupby(["scheduler", "batch_norm"])["lr"].idxmin())
    return table


def augmentation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per candidate for the basic augmentation, columns as in `rate_table`; the highest mean is chosen."""
    table = _means(rows[rows["augmentation"].isin(list(BASIC_CANDIDATES))], ["augmentation"])
    table["chosen"] = table.index == table["accuracy"].idxmax()
    return table


def render_selection(table: pd.DataFrame) -> str:
    """The table as text for a terminal."""
    lines = table.assign(
        accuracy=table["accuracy"].map("{:.2%}".format),
        lowest=table["lowest"].map("{:.2%}".format),
        chosen=table["chosen"].map({True: "chosen", False: ""}),
    )
    if "lr" in lines:
        lines["lr"] = lines["lr"].map("{:g}".format)
    headers = {"batch_norm": "batch norm", "accuracy": "val accuracy", "chosen": ""}
    return tabulate(lines.rename(columns=headers).to_dict("list"), headers="keys", disable_numparse=True)


def _means(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """A trial that diverged counts as chance (one in ten), the worst there is; one that failed counts not at all."""
    counted = rows[rows["status"] != "failed"]
    accuracies = counted["val_accuracy"].fillna(0.1).groupby([counted[name] for name in by])
    return accuracies.agg(accuracy="mean", lowest="min", n="count").reset_index()
