"""Which missing trials have a row of an earlier state, and which part of their keys has moved since."""

from collections.abc import Mapping

import pandas as pd

from bench.plan.catalogue import catalogue, written_levels
from bench.plan.trials import Trial
from bench.run.rows import Named
from bench.run.runner import Run

# What a trial is asked for with; rows that agree in it and have another key are of an earlier state.
_ASKED_FOR = ["epochs", "batch_size", "optimizer", "precision", "device", "val"]

# The columns that may have moved since.
_MOVES = ["data", "network", "training", "lr"]


def stale_trials(run: Run) -> dict[Trial, str]:
    """The missing trials that an older row is of, and in a few words which parts of their keys have moved."""
    missing = set(run.missing())
    if not missing:
        return {}
    identity = ["architecture", *catalogue().columns, "seed", *_ASKED_FOR]
    rows = run.store.trials()
    # A row that is valid for another trial of the plan, as of the same cell at another rate, is no earlier state.
    rows = rows.loc[~rows["trial"].isin({named.key for named in run.named}), [*identity, *_MOVES]]
    records = rows.to_dict("records")
    latest = {tuple(row[name] for name in identity): row for row in records}
    at_rate = {(*(row[name] for name in identity), row["lr"]): row for row in records}
    parts = _parts(run.store.parts())
    stale: dict[Trial, str] = {}
    for named in run.named:
        if named.trial in missing:
            asked = _identity(named.trial)
            before = at_rate.get((*asked, named.trial.lr))
            # Where the study gives the rate, it may have moved; a rate that was given is another trial's.
            if before is None and named.trial.protocol.lr is None:
                before = latest.get(asked)
            if before is not None:
                stale[named.trial] = _moved(named, before, parts)
    return stale


def _parts(rows: pd.DataFrame) -> dict[str, dict[str, str]]:
    """By training digest, the digest of each of its parts."""
    return {
        str(training): dict(zip(of_one["part"], of_one["digest"], strict=True))
        for training, of_one in rows.groupby("training", sort=False)
    }


def _identity(trial: Trial) -> tuple[object, ...]:
    protocol = trial.protocol
    return (
        trial.cell.architecture,
        *written_levels(trial.cell.levels).values(),
        trial.seed,
        *(getattr(protocol, name) for name in _ASKED_FOR),
    )


def _moved(named: Named, row: Mapping[object, object], parts: Mapping[str, Mapping[str, str]]) -> str:
    then = parts.get(str(row["training"]))
    # Of a training whose parts nobody recorded it can only be said that it was another.
    steps = [part for part, digest in named.training.items() if then is None or then.get(part) != digest]
    training = f"training ({', '.join(steps)})" if then is not None else "training"
    moved = [
        words
        for words, before, now in (
            ("data", row["data"], named.parts.data),
            ("network", row["network"], named.parts.network),
            (training, row["training"], named.parts.training),
            ("learning rate", row["lr"], named.trial.lr),
        )
        if before != now
    ]
    return ", ".join(moved) or "augmentation"
