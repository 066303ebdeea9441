"""What a search of architectures found, what it cost, and what its winner is worth on fresh seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, recorded_cell
from bench.plan.halving import AT_RANDOM, SEARCHED
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.searched import with_arms
from bench.report.stats.contrast import difference_of
from bench.report.stats.estimate import Estimate, estimate


@dataclass(frozen=True)
class SearchArm:
    """A search, or random search beside it, with at most `limit` parameters a network (0: any number). `course` has,
    after each trial of all epochs, the epochs spent by then and the accuracy on held-out images, a fraction. `winner`
    has the highest, the first of equals, `held_out`; `fresh` are test accuracies by seeds that the search didn't
    train with. `met` is how many of its networks have met the test set."""

    arm: str
    limit: int
    trials: int
    epochs: int
    seconds: float
    course: tuple[tuple[int, float], ...]
    winner: Cell
    parameters: int
    held_out: float
    fresh: dict[int, float]
    accuracy: Estimate | None
    met: int

    @property
    def name(self) -> str:
        """As a table calls it."""
        return "search" if self.arm == SEARCHED else "random search"


@dataclass(frozen=True)
class Searched:
    """A search and random search under one limit in one precision, whichever the report's is; `difference` is that of
    their winners' test accuracies on fresh seeds, the search's minus random search's, None where one hasn't met the
    test set or both are the same network."""

    limit: int
    precision: str
    arms: tuple[SearchArm, ...]
    difference: Estimate | None


@once
def searches(report: Report) -> tuple[Searched, ...]:
    """One per limit of parameters and precision, the largest search first."""
    evidence = report.evidence
    met = pd.concat([evidence.trials, evidence.other_precisions])
    found = [
        _searched(evidence, int(str(limit)), str(precision), rows, met[met["precision"] == precision])
        for (limit, precision), rows in evidence.searched.groupby(["limit", "precision"])
    ]
    kept = [one for one in found if one.arms]
    return tuple(sorted(kept, key=lambda one: -sum(arm.epochs for arm in one.arms)))


def _searched(evidence: Evidence, limit: int, precision: str, rows: pd.DataFrame, met: pd.DataFrame) -> Searched:
    """Of the search's own rows, and of those that met the test set in its precision."""
    arms = tuple(_arms(evidence, limit, rows, met))
    difference = None
    if len(arms) == 2 and arms[0].winner != arms[1].winner and all(arm.fresh for arm in arms):
        difference = difference_of(arms[0].fresh, arms[1].fresh, evidence.step)
    return Searched(limit, precision, arms, difference)


def _arms(evidence: Evidence, limit: int, rows: pd.DataFrame, met: pd.DataFrame) -> Iterator[SearchArm]:
    confirmed = with_arms(met)
    for arm in (SEARCHED, AT_RANDOM):
        own = rows[rows["arm"] == arm]
        spent = own["epochs"].cumsum()
        whole = own[(own["epochs"] == evidence.protocol["epochs"]) & (own["status"] == "done")]
        if whole.empty:
            continue
        best = whole.iloc[int(whole["val_accuracy"].astype(float).argmax())]
        cell = recorded_cell(tuple(best[["architecture", *catalogue().columns]]))
        if cell is None:
            continue
        of_winner = met[(met["cell"] == cell.label) & ~met["seed"].isin(own["seed"])].sort_values("seed")
        fresh = dict(zip(of_winner["seed"].tolist(), of_winner["test_accuracy"].tolist(), strict=True))
        of_arm = confirmed[(confirmed["arm"] == arm) & (confirmed["limit"] == limit)]
        yield SearchArm(
            arm=arm,
            limit=limit,
            trials=len(own),
            epochs=int(own["epochs"].sum()),
            seconds=float(own["train_seconds"].sum()),
            course=tuple(zip(spent[whole.index].tolist(), whole["val_accuracy"].tolist(), strict=True)),
            winner=cell,
            parameters=int(best["parameters"]),
            held_out=float(best["val_accuracy"]),
            fresh=fresh,
            accuracy=estimate(list(fresh.values()), evidence.step) if fresh else None,
            met=of_arm["cell"].nunique(),
        )
