"""Ensembles of one cell's seeds."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.plan.cells import Cell
from bench.record.probabilities import Quality
from bench.report.evidence import Evidence
from bench.report.report import Report, once
from bench.report.stats.ensembles import Ensembles, ensembles


@dataclass(frozen=True)
class EnsembleResult:
    """Ensembles of one cell's seeds, by size, of `parameters` a member."""

    cell: Cell
    by_size: tuple[Ensembles, ...]
    parameters: int


@once
def ensemble_results(report: Report) -> tuple[EnsembleResult, ...]:
    """Of each cell of which ensembles were recorded."""
    evidence, results = report.evidence, []
    for cell, rows in _newest_by_cell(evidence).items():
        measured: dict[int, list[Quality]] = defaultdict(list)
        for members, *figures in rows[["members", "accuracy", "loss", "brier", "calibration_error"]].itertuples(
            index=False, name=None
        ):
            measured[len(members.split())].append(Quality(*figures))
        parameters = int(evidence.rows(cell)["parameters"].iloc[0])
        results.append(EnsembleResult(cell, tuple(ensembles(measured, int(rows["images"].iloc[0]))), parameters))
    return tuple(results)


def _newest_by_cell(evidence: Evidence) -> Mapping[Cell, pd.DataFrame]:
    """The rows of each cell's trials that were recorded last: later ones are of more trials, in other groups."""
    rows = evidence.ensembles
    members = [frozenset(text.split()) for text in rows["members"]]
    places: dict[str, list[int]] = defaultdict(list)
    for place, trials in enumerate(members):
        places[min(trials)].append(place)
    found = {}
    for cell in evidence.cells:
        own = set(evidence.rows(cell)["trial"])
        theirs = rows.iloc[sorted(at for trial in own for at in places.get(trial, ()) if members[at] <= own)]
        if len(theirs):
            found[cell] = theirs[theirs["run"] == theirs["run"].iloc[-1]]
    return found
