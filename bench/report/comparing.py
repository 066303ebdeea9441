"""Two cells, or two runs, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tabulate import tabulate

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell
from bench.plan.factors import level_of
from bench.report.evidence import Evidence
from bench.report.show.words import few, listed, percent, percent_interval, plural, points, points_interval, signed
from bench.report.stats.contrast import Values, difference_of
from bench.report.stats.estimate import Estimate, estimate

_ALIGN = ("left", *["right"] * 5)

# What of a protocol two runs may differ in.
_PROTOCOL = ("epochs", "batch_size", "optimizer", "precision", "device", "rate", "data", "code")


@dataclass(frozen=True, slots=True)
class Cells:
    """Two cells' accuracies, fractions, and the second's minus the first's, over all seeds of both."""

    first: Estimate
    second: Estimate
    difference: Estimate
    shared: int


def compared(first: Values, second: Values, step: float) -> Cells:
    """By seed; `step` as in `estimate`. Raises ValueError where one has no value."""
    one, other = (estimate(list(values.values()), step) for values in (first, second))
    return Cells(one, other, difference_of(second, first, step), len(first.keys() & second.keys()))


def render_cells(evidence: Evidence, first: Cell, second: Cell) -> str:
    """A line for each thing that was measured, with the difference, and what the two differ in."""
    found = compared(evidence.values(first), evidence.values(second), evidence.step)
    one, other = evidence.rows(first), evidence.rows(second)
    spread = [points(each.sd).lstrip("+") if each.has_interval else "" for each in (found.first, found.second)]
    lines: list[tuple[str, ...]] = [
        ("test accuracy", percent(found.first.mean), percent(found.second.mean), points(found.difference.mean)),
        (
            "95 % interval",
            percent_interval(found.first.low, found.first.high),
            percent_interval(found.second.low, found.second.high),
            points_interval(found.difference.low, found.difference.high),
        ),
        ("sd, points", *spread, ""),
        ("seeds", str(found.first.n), str(found.second.n), f"{found.shared} of both"),
        _line("test loss", one, other, "test_loss", ".4f"),
        _line("training accuracy", one, other, "train_accuracy", ".2%"),
        _line("learning rate", one, other, "lr", "g"),
        _line("parameters", one, other, "parameters", ",.0f"),
        _line("multiply-accumulates", one, other, "macs", ",.0f"),
    ]
    headers = ["", first.label, second.label, "difference"]
    table = tabulate(lines, headers=headers, disable_numparse=True, colalign=_ALIGN[: len(headers)])
    return f"{_protocol(evidence)}\n\n{table}\n\n{_changes(first, second)}{_alone(found.difference)}"


def render_runs(first: Evidence, second: Evidence, names: Sequence[str]) -> str:
    """A line for each cell that both have, with the difference, which cells only one has, and what the protocols differ
    in."""
    lines = []
    for cell in first.cells:
        if cell in second.cells:
            found = compared(first.values(cell), second.values(cell), max(first.step, second.step))
            lines.append(
                (
                    cell.label,
                    percent(found.first.mean),
                    percent(found.second.mean),
                    points(found.difference.mean),
                    points_interval(found.difference.low, found.difference.high),
                    f"{found.first.n}, {found.second.n}",
                )
            )
    headers = ["cell", *names, "difference", "95 % interval", "seeds"]
    text = [tabulate(lines, headers=headers, disable_numparse=True, colalign=_ALIGN)] if lines else []
    for name, here, there in ((names[0], first, second), (names[1], second, first)):
        alone = [cell.label for cell in here.cells if cell not in there.cells]
        if alone:
            text.append(f"Only {name} has {few(alone)}.")
    differing = [
        f"{key.replace('_', ' ')} {_said(first, key)} and {_said(second, key)}"
        for key in _PROTOCOL
        if first.protocol[key] != second.protocol[key]
    ]
    if differing:
        text.append(f"The protocols differ: {listed(differing)}.")
    if len(lines) > 1:
        text.append(f"Of {len(lines)} differences one in twenty leaves 0 outside its interval by chance.")
    return "\n\n".join(text)


def _line(name: str, one: pd.DataFrame, other: pd.DataFrame, column: str, form: str) -> tuple[str, ...]:
    means = [float(np.nanmean(rows[column])) if rows[column].notna().any() else np.nan for rows in (one, other)]
    said = ["" if np.isnan(mean) else format(mean, form).replace("%", " %") for mean in means]
    difference = means[1] - means[0]
    if form.endswith("%"):
        return name, *said, "" if np.isnan(difference) else points(difference)
    return name, *said, "" if np.isnan(difference) or not difference else signed(difference, form)


def _protocol(evidence: Evidence) -> str:
    said = evidence.protocol
    return (
        f"On {evidence.dataset}: {plural(int(str(said['epochs'])), 'epoch')}, batches of {said['batch_size']}, "
        f"{said['precision']}."
    )


def _said(evidence: Evidence, key: str) -> str:
    return str(evidence.protocol[key])[:12]


def _changes(first: Cell, second: Cell) -> str:
    factors = catalogue().factors
    changed = [one.name for one in factors if level_of(first.levels, one) != level_of(second.levels, one)]
    whole = ["the architecture"] if first.architecture != second.architecture else []
    return f"What changes: {listed([*whole, *changed])}. " if whole or changed else ""


def _alone(difference: Estimate) -> str:
    if not difference.has_interval:
        return "One seed tells no interval: add --seeds."
    if difference.low > 0 or difference.high < 0:
        return "The interval leaves 0 out, which holds for this one comparison: who makes many finds some by chance."
    return "The interval holds 0: this is not settled."
