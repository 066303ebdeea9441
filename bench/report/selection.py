"""Which learning rates and which basic augmentation are best, from rows measured on held-out training images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.plan.augmentation import BASIC_CANDIDATES
from bench.plan.catalogue import ARCHITECTURE, catalogue
from bench.plan.levels import Level, format_level
from bench.plan.selection import Candidates, rate_factors
from bench.report.stats.chance import chance_limit
from bench.report.stats.estimate import estimate

# Of rates whose mean accuracies differ by no more than this, the lowest is taken: it diverges least. The tie is the
# practical margin of a comparison, 0.05 points.
TIE = 0.0005

# 95 % of normal values lie within so many standard errors.
_NORMAL = 1.96

CHOSEN, TIED, CHANCE = "chosen", "tied", "chance"


@dataclass(frozen=True, slots=True)
class Apart:
    """An architecture that learns better at a rate of its own than at the one that is best over all, under a
    combination of levels, by more than the noise; accuracies are fractions."""

    architecture: str
    levels: tuple[Level, ...]
    rate: float
    accuracy: float
    pooled_rate: float
    pooled_accuracy: float


def rate_table(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """One line per combination of the levels that the study's rates go by, and rate: mean `accuracy` on held-out
    images, `lowest` and `n`.

    The mean is over architectures and seeds. `first` marks the lowest rate within TIE of the highest mean. `verdict`
    says what the rows tell about it: `chosen` where it beats every other rate, or else `tied` for it and for those that
    it doesn't beat, or `chance` where no rate is better than guessing; empty for the others. It beats one at which more
    trials collapsed, whatever the means.
    """
    return _judged(_of_rates(rows), _rate_columns(), "lr", classes, TIE)


def apart(rows: pd.DataFrame, classes: int) -> list[Apart]:
    """The architectures whose best rate beats that of all, combination by combination."""
    table, columns = rate_table(rows, classes), _rate_columns()
    counted = _counted(_of_rates(rows), classes)
    found = []
    for _, line in table[table["first"] & (table["verdict"] != CHANCE)].iterrows():
        for architecture, own in _lines_of(counted, columns, line).groupby("architecture"):
            means = own.groupby("lr")["val_accuracy"].mean()
            rate, pooled = float(means.index[means >= means.max() - TIE][0]), float(line["lr"])
            if pooled in means and _beats(own[own["lr"] == rate], own[own["lr"] == pooled]):
                accuracies = float(means[rate]), float(means[pooled])
                found.append(Apart(str(architecture), _levels(line), rate, accuracies[0], pooled, accuracies[1]))
    return found


def at_edges(
    table: pd.DataFrame, others: Sequence[Apart], candidates: Candidates
) -> tuple[list[tuple[Level, ...]], list[tuple[Level, ...]]]:
    """The combinations of which the best candidate is the lowest that was tried, and those of which it is the highest:
    over all, or that of an architecture which needs one of its own."""
    lower, upper = [], []
    for levels, tried in candidates.items():
        lines = table[[_levels(line) == levels for _, line in table.iterrows()]]
        if lines.empty or (lines["verdict"] == CHANCE).all():
            continue
        own = {other.rate for other in others if other.levels == levels}
        # Of tied ones the lowest is taken, which may hide that the mean still rises at the other end.
        if tried[0] in {lines.loc[lines["first"], "lr"].iloc[0], *own}:
            lower.append(levels)
        highest = lines.loc[lines["accuracy"] == lines["accuracy"].max(), "lr"]
        if tried[-1] in {highest.iloc[0], *own}:
            upper.append(levels)
    return lower, upper


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


def render_apart(others: Sequence[Apart]) -> str:
    """A line for each architecture that needs a rate of its own."""
    return "\n".join(
        f"{one.architecture}{_said(one.levels)} is better at {one.rate:g} than at {one.pooled_rate:g} by more than "
        f"the noise: {one.accuracy:.2%}, not {one.pooled_accuracy:.2%}."
        for one in others
    )


def render_edges(lower: Sequence[tuple[Level, ...]], upper: Sequence[tuple[Level, ...]], tried: Candidates) -> str:
    """A line for each combination whose best candidate is at an edge."""
    return "\n".join(
        f"The best{_said(levels)} is the {edge} that was tried, {tried[levels][place]:g}."
        for edge, place, found in (("lowest", 0, lower), ("highest", -1, upper))
        for levels in found
    )


def as_written(table: pd.DataFrame, others: Sequence[Apart], architectures: Sequence[str]) -> str:
    """The rates of the lines that are `first`, as a study's file says them: by architecture as well where one needs a
    rate of its own."""
    chosen = {_levels(line): float(line["lr"]) for _, line in table[table["first"]].iterrows()}
    by = [factor.name for factor in rate_factors()]
    if others:
        own = {(other.architecture, *other.levels): other.rate for other in others}
        pooled = {(name, *levels): rate for name in architectures for levels, rate in chosen.items()}
        chosen, by = {**pooled, **own}, [ARCHITECTURE, *by]
    if not by:
        return f"rates={chosen[()]:g}"
    said = ", ".join(f"{levels!r}: {rate:g}" for levels, rate in chosen.items())
    return f"rates={{{said}}}, rates_by={by!r}"


def _of_rates(rows: pd.DataFrame) -> pd.DataFrame:
    if not catalogue().by_name["augmentation"].is_looked_up:
        return rows
    return rows[~rows["augmentation"].isin(list(BASIC_CANDIDATES))]


def _rate_columns() -> list[str]:
    return [factor.column for factor in rate_factors()]


def _levels(line: "pd.Series[Any]") -> tuple[Level, ...]:
    return tuple(factor.read(line[factor.column]) for factor in rate_factors())


def _said(levels: tuple[Level, ...]) -> str:
    names = [f"{f.name}={format_level(level)}" for f, level in zip(rate_factors(), levels, strict=True)]
    return f" with {' '.join(names)}" if names else ""


def _lines_of(rows: pd.DataFrame, columns: Sequence[str], line: "pd.Series[Any]") -> pd.DataFrame:
    return rows[(rows[list(columns)] == line[list(columns)]).all(axis=1)]


def _counted(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """A trial that diverged counts as chance, the worst there is; one that failed counts not at all. `collapsed` says
    which are no better than guessing, which is up to `chance`."""
    counted = rows[rows["status"] != "failed"]
    reached = counted["val_accuracy"].fillna(1 / classes)
    limits = counted["val"].map(lambda images: chance_limit(1 / classes, 1 / images))
    return counted.assign(val_accuracy=reached, chance=limits, collapsed=reached <= limits)


def _judged(rows: pd.DataFrame, group: list[str], candidate: str, classes: int, tie: float) -> pd.DataFrame:
    counted = _counted(rows, classes)
    by = [*group, candidate]
    table = counted.groupby(by)["val_accuracy"].agg(accuracy="mean", lowest="min", n="count").reset_index()
    table["first"], table["verdict"] = False, ""
    for _, lines in table.groupby(group) if group else [((), table)]:
        best = lines["accuracy"].max()
        first = lines.index[lines["accuracy"] >= best - tie][0]
        table.loc[first, "first"] = True
        if best <= counted["chance"].iloc[0]:
            table.loc[lines.index, "verdict"] = CHANCE
            continue
        trials = {line: counted[(counted[by] == table.loc[line, by]).all(axis=1)] for line in lines.index}
        tied = [line for line in lines.index if line != first and not _beats(trials[first], trials[line])]
        table.loc[[first, *tied], "verdict"] = TIED if tied else CHOSEN
    return table


def _beats(trials: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether the first trials' accuracies are higher, pair by pair, by more than two errors: that of so many held-out
    images, and that of the pairs; or whether fewer of them collapsed, where the spread of pairs says nothing."""
    if trials["collapsed"].mean() < others["collapsed"].mean():
        return True
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
