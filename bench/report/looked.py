"""The looks of runs that went on until it was settled: how many seeds each cell had when somebody looked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

# What rows of a protocol share.
PROTOCOL = ("epochs", "batch_size", "optimizer", "precision", "device", "data")

# A cell's label and its learning rate.
Arm = tuple[str, float]


@dataclass(frozen=True)
class Look:
    """The seeds that each cell had by then at a learning rate, whatever came of them."""

    run: str
    number: int
    at: str
    seeds: Mapping[Arm, frozenset[int]]


def looks_under(rows: pd.DataFrame, protocol: Mapping[str, object]) -> tuple[Look, ...]:
    """The looks at trials of a protocol, in the order in which they were recorded."""
    for name in PROTOCOL:
        rows = rows[rows[name] == protocol[name]]
    found: list[Look] = []
    seeds: dict[Arm, frozenset[int]] = {}
    for _, of_look in rows.groupby(["run", "look"], sort=False):
        arms = zip(of_look["cell"], of_look["lr"], of_look["seeds"], strict=True)
        seeds = seeds | {(str(label), float(rate)): read_seeds(text) for label, rate, text in arms}
        first = of_look.iloc[0]
        found.append(Look(str(first["run"]), int(first["look"]), str(first["looked_at"]), seeds))
    return tuple(found)


def written_seeds(seeds: Iterable[int]) -> str:
    """As a row has them: `0-9 20`."""
    spans: list[list[int]] = []
    for seed in sorted(seeds):
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def read_seeds(text: str) -> frozenset[int]:
    """The seeds that a row has."""
    found: set[int] = set()
    for span in text.split():
        first, _, last = span.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
