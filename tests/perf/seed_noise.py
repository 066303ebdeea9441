"""How many seeds less noise would save: `python -m tests.perf.seed_noise`.

Prints, for the built-in study's committed rows, the ratio of seeds for the same interval, which is a ratio of
variances: of differences paired by seed against those of independent seeds; and of the mean test accuracy of the last
epochs against the last one's; and, a cell each, of what other readouts of the same trainings predict, averaged weights
among them, against the last step's weights. Both are other questions than the last epoch (a network that is still
rising gets less from a mean of epochs), so how they move the accuracy is shown beside.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from bench.plan.cells import Cell
from bench.plan.readouts import LAST as LAST_WEIGHTS
from bench.plan.readouts import READOUTS
from bench.record.store import Store
from bench.report.evidence import Evidence, gather
from bench.report.sections.effects.looks import answerable, arms_of
from bench.report.stats.estimate import Estimate, estimate, quantile, ratio

LAST_EPOCHS = (2, 3, 5)


def paired_ratio(evidence: Evidence) -> Estimate:
    """Of every contrast's shared seeds, the variance of differences over the sum of the two cells'."""
    paired, apart = [], []
    for question in answerable(evidence):
        treated, baseline = arms_of(evidence, question)
        shared = sorted(treated.keys() & baseline.keys())
        both = np.array([[treated[seed] for seed in shared], [baseline[seed] for seed in shared]])
        paired.append((both[0] - both[1]).var(ddof=1))
        apart.append(both.var(axis=1, ddof=1).sum())
    return ratio(paired, apart)


def by_epoch(evidence: Evidence) -> Mapping[Cell, np.ndarray]:
    """Of every cell the test accuracies, (trials, epochs)."""
    epochs = evidence.epochs.pivot_table(index="trial", columns="epoch", values="test_accuracy")
    return {cell: epochs.loc[evidence.rows(cell)["trial"]].to_numpy() for cell in evidence.cells}


def last_epochs(cells: Mapping[Cell, np.ndarray], count: int) -> tuple[Estimate, Estimate]:
    """The ratio of variances between seeds, of the mean of the last epochs to the last one; and how much lower that
    mean is, in fractions, a cell each."""
    means = [curves[:, -count:].mean(axis=1) for curves in cells.values()]
    ends = [curves[:, -1] for curves in cells.values()]
    lower = [float(mean.mean() - end.mean()) for mean, end in zip(means, ends, strict=True)]
    return ratio([mean.var(ddof=1) for mean in means], [end.var(ddof=1) for end in ends]), estimate(lower)


def by_readout(evidence: Evidence) -> Mapping[Cell, pd.DataFrame]:
    """Of every cell with at least three trials that have readouts, the test accuracies by trial and readout."""
    tables = {cell: _accuracies(evidence, cell) for cell in evidence.cells}
    return {cell: table for cell, table in tables.items() if len(table) >= 3}


def _accuracies(evidence: Evidence, cell: Cell) -> pd.DataFrame:
    readouts = evidence.readouts
    own = readouts[readouts["trial"].isin(evidence.rows(cell)["trial"])]
    return own.pivot_table(index="trial", columns="readout", values="accuracy").dropna()


def variance_ratio(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """The variance of `first` over that of `second`, paired values each, with its 95 % interval: the ratios that the
    test of Pitman (1939) and Morgan, for correlated normal variances, does not reject."""
    observed = first.var(ddof=1) / second.var(ddof=1)
    freedom = len(first) - 2
    unshared = 1 - np.corrcoef(first, second)[0, 1] ** 2
    middle = 1 + 2 * unshared * quantile(freedom) ** 2 / freedom
    reach = math.sqrt(middle**2 - 1)
    return observed, observed * (middle - reach), observed * (middle + reach)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results/mnist"))
    parser.add_argument("--precision", help="of the rows; without it that of `bench report`")
    given = parser.parse_args(arguments)
    evidence = gather(
        Store(given.results), given.results.name, {"precision": given.precision} if given.precision else None
    )
    cells = by_epoch(evidence)
    schedules: dict[str, dict[Cell, np.ndarray]] = {"all": dict(cells)}
    for cell, curves in cells.items():
        schedules.setdefault(str(cell.levels.get("scheduler")), {})[cell] = curves
    lines = [["paired by seed", "contrasts", *_shown(paired_ratio(evidence)), ""]]
    for name, own in schedules.items():
        for count in LAST_EPOCHS:
            seeds, lower = last_epochs(own, count)
            lines.append([f"mean of the last {count} epochs", f"cells, {name}", *_shown(seeds), f"{lower.mean:+.3%}"])
    for cell, table in by_readout(evidence).items():
        for name in (name for name in READOUTS if name in table and name != LAST_WEIGHTS):
            read, last = table[name].to_numpy(), table[LAST_WEIGHTS].to_numpy()
            middle, low, high = variance_ratio(read, last)
            shown = [f"{middle:.2f}", f"{low:.2f} to {high:.2f}", f"{read.mean() - last.mean():+.3%}"]
            lines.append([f"readout {name}", f"seeds, {cell.label}", str(len(read)), *shown])
    headers = ["less noise", "over", "n", "seeds, ratio", "95 % interval", "accuracy"]
    print(tabulate(lines, headers=headers, disable_numparse=True))


def _shown(seeds: Estimate) -> list[str]:
    return [str(seeds.n), f"{seeds.mean:.2f}", f"{seeds.low:.2f} to {seeds.high:.2f}"]


if __name__ == "__main__":
    main()
