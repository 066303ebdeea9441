"""Which learning rates and which basic augmentation are best, from rows measured on held-out training images."""

import math

import pandas as pd
from tabulate import tabulate

from bench.plan.augmentation import BASIC_CANDIDATES
from bench.plan.catalogue import catalogue
from bench.plan.levels import format_level
from bench.report.stats.estimate import estimate

# Of rates whose mean accuracies differ by no more than this, the lowest is taken: it diverges least. The tie is the
# practical margin of a comparison, 0.05 points.
TIE = 0.0005

# 95 % of normal values lie within so many standard errors.
_NORMAL = 1.96

CHOSEN, TIED, CHANCE = "chosen", "tied", "chance"


def rate_table(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """One line per combination of the levels that the study's rates go by, and rate: mean `accuracy` on held-out
    images, `lowest` and `n`.

    The mean is over architectures and seeds. `first` marks the lowest rate within TIE of the highest mean. `verdict`
    says what the rows tell about it: `chosen` where it beats every other rate, or else `tied` for it and for those that
    it doesn't beat, or `chance` where no rate is better than guessing; empty for the others.
    """
    known = catalogue()
    if known.by_name["augmentation"].is_looked_up:
        rows = rows[~rows["augmentation"].isin(list(BASIC_CANDIDATES))]
    return _judged(rows, [known.by_name[name].column for name in known.rates.by], "lr", classes, TIE)


def augmentation_table(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """One line per candidate for the basic augmentation, columns as in `rate_table`; the highest mean is `first`."""
    return _judged(rows[rows["augmentation"].isin(list(BASIC_CANDIDATES))], [], "augmentation", classes, 0.0)


def render_selection(table: pd.DataFrame) -> str:
    """The table as text for a terminal, and a sentence where it doesn't settle the choice."""
    lines = table.drop(columns="first").assign(
        accuracy=table["accuracy"].map("{:.2%}".format), lowest=table["lowest"].map("{:.2%}".format)
    )
    if "lr" in lines:
        lines["lr"] = lines["lr"].map("{:g}".format)
    for column, factor in catalogue().by_column.items():
        if column in lines and column != "augmentation":
            lines[column] = lines[column].map(lambda value, factor=factor: format_level(factor.read(value)))
    headers = {str(name): str(name).replace("_", " ") for name in lines} | {"accuracy": "val accuracy", "verdict": ""}
    text = tabulate(lines.rename(columns=headers).to_dict("list"), headers="keys", disable_numparse=True)
    if (table["verdict"] == TIED).any():
        text += (
            "\nNot settled where candidates are tied: they differ by less than the sampling error. More --seeds tell."
        )
    if (table["verdict"] == CHANCE).any():
        text += "\nNot settled where none is better than chance: more --epochs may tell."
    return text


def as_written(table: pd.DataFrame) -> str:
    """The rates of the lines that are `first`, as a study's file says them."""
    rates = catalogue().rates
    factors = [catalogue().by_name[name] for name in rates.by]
    chosen = table[table["first"]]
    if not factors:
        return f"rates={chosen['lr'].iloc[0]:g}"
    levels = [tuple(factor.read(line[factor.column]) for factor in factors) for _, line in chosen.iterrows()]
    said = ", ".join(f"{one!r}: {rate:g}" for one, rate in zip(levels, chosen["lr"], strict=True))
    return f"rates={{{said}}}, rates_by={list(rates.by)!r}"


def _judged(rows: pd.DataFrame, group: list[str], candidate: str, classes: int, tie: float) -> pd.DataFrame:
    """A trial that diverged counts as chance, the worst there is; one that failed counts not at all."""
    counted = rows[rows["status"] != "failed"]
    counted = counted.assign(val_accuracy=counted["val_accuracy"].fillna(1 / classes))
    by = [*group, candidate]
    table = counted.groupby(by)["val_accuracy"].agg(accuracy="mean", lowest="min", n="count").reset_index()
    table["first"], table["verdict"] = False, ""
    for _, lines in table.groupby(group) if group else [((), table)]:
        best = lines["accuracy"].max()
        first = lines.index[lines["accuracy"] >= best - tie][0]
        table.loc[first, "first"] = True
        if best <= 1 / classes + _error(1 / classes, int(counted["val"].iloc[0])):
            table.loc[lines.index, "verdict"] = CHANCE
            continue
        trials = {line: counted[(counted[by] == table.loc[line, by]).all(axis=1)] for line in lines.index}
        tied = [line for line in lines.index if line != first and not _beats(trials[first], trials[line])]
        table.loc[[first, *tied], "verdict"] = TIED if tied else CHOSEN
    return table


def _beats(trials: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether the first trials' accuracies are higher, pair by pair, by more than two errors: that of so many held-out
    images, and that of the pairs."""
    pairs = trials.merge(others, on=["architecture", "seed"])
    if pairs.empty:
        return False
    difference = estimate((pairs["val_accuracy_x"] - pairs["val_accuracy_y"]).to_numpy())
    images = int(pairs["val_x"].sum())
    of_images = math.hypot(
        *(_error(float(pairs[name].mean()), images) for name in ("val_accuracy_x", "val_accuracy_y"))
    )
    of_pairs = difference.half_width if difference.has_interval else 0.0
    return difference.mean > max(of_images, of_pairs)


def _error(accuracy: float, images: int) -> float:
    """Half the 95 % interval of a share of so many images."""
    return _NORMAL * math.sqrt(accuracy * (1 - accuracy) / images)
