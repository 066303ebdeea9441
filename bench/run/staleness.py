"""Which missing trials have a row of an earlier state, and what has changed since."""

from collections.abc import Mapping

from bench.plan.factors import FACTORS, written_levels
from bench.plan.trials import Trial
from bench.run.runner import Run

_SWITCHES = [factor.name for factor in FACTORS]

# What a trial is asked for with; rows that agree in it and have another key are of an earlier state.
_ASKED_FOR = ["epochs", "batch_size", "optimizer", "precision", "device", "val"]


def stale_trials(run: Run) -> dict[Trial, str]:
    """The missing trials that an older row is of, and in a few words which inputs of their keys have changed."""
    rows = run.store.trials()
    latest = {_row_identity(row): row for row in rows.to_dict("records")}
    return {
        trial: _changes(trial, latest[_identity(trial)], run) for trial in run.missing() if _identity(trial) in latest
    }


def _identity(trial: Trial) -> tuple[object, ...]:
    protocol = trial.protocol
    return (
        trial.cell.architecture,
        *written_levels(trial.cell.levels).values(),
        trial.seed,
        *(getattr(protocol, name) for name in _ASKED_FOR),
    )


def _row_identity(row: Mapping[object, object]) -> tuple[object, ...]:
    return (row["architecture"], *(row[name] for name in _SWITCHES), row["seed"], *(row[name] for name in _ASKED_FOR))


def _changes(trial: Trial, row: Mapping[object, object], run: Run) -> str:
    changed = [
        words
        for words, then, now in (
            ("data", row["data"], run.provenance.data),
            ("training code", row["code"], run.provenance.code),
            ("learning rate", row["lr"], trial.lr),
        )
        if then != now
    ]
    return ", ".join(changed) or "layers or augmentation"
