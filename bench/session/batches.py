"""Trains what a design proposes, batch after batch, within a budget."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from bench.plan.budget import Budget
from bench.plan.trials import Trial
from bench.run.runner import Run, train_in
from bench.session.recorded import record_run
from bench.session.request import Place
from bench.session.training import executor_at

# Trials between two looks: enough to keep workers busy, and few enough to stop in time.
_A_WORKER, _FEWEST, _ON_MANY = 4, 8, 32


def trials_a_look(place: Place, device: str) -> int:
    """How many trials are trained between two looks."""
    if place.cluster is not None or device == "cuda":
        return _ON_MANY
    return max(_FEWEST, _A_WORKER * place.workers)


class Proposing(Protocol):
    """A design that is carried out: `run` has the trials that have rows, and those of the batch that is trained."""

    run: Run

    def batch(self) -> list[Trial]:
        """What is to be trained next, each key once; nothing when there is nothing more to ask."""

    def cost(self, trial: Trial) -> float:
        """The seconds that a trial of the batch should take in one worker."""

    def take(self, trials: Sequence[Trial]) -> None:
        """These trials of the batch are trained now."""

    def trained(self, trials: Sequence[Trial], given: Mapping[str, Any]) -> None:
        """They have rows: looks at them, and writes down what there is to be written down beside them."""

    def stands(self) -> str:
        """How far it is, for progress to begin with."""

    def announced(self, batch: Sequence[Trial]) -> str:
        """What is said before the next batch."""


def train_batches(
    proposing: Proposing, place: Place, budget: Budget, opened: ExitStack, given: Mapping[str, Any]
) -> bool:
    """Batch after batch in an executor that is opened for all of them; whether the budget ended it."""
    clock, executor = _Clock(budget, proposing.cost, max(place.workers, 1)), None
    batch = proposing.batch()
    while batch:
        fitting = clock.fitting(batch)
        if not fitting:
            return True
        proposing.take(fitting)
        run = proposing.run
        if executor is None:
            executor = opened.enter_context(executor_at(place, run.protocol.device, run.data, len(batch)))
            record_run(run, given)
        before = time.monotonic()
        train_in(executor, run, fitting, {one.cell: proposing.cost(one) for one in fitting}, proposing.stands())
        clock.took(fitting, time.monotonic() - before)
        proposing.trained(fitting, given)
        if batch := proposing.batch():
            print(proposing.announced(batch), flush=True)
    return False


class _Clock:
    """What is left of a budget, in trials and in seconds, with what trials really took."""

    def __init__(self, budget: Budget, cost: Callable[[Trial], float], workers: int) -> None:
        self._end = None if budget.seconds is None else time.monotonic() + budget.seconds
        self._trials = budget.trials
        self._cost = cost
        self._workers = workers
        self._foretold, self._took = 0.0, 0.0

    def fitting(self, batch: Sequence[Trial]) -> list[Trial]:
        """The first trials of a batch that fit into what is left."""
        fitting = list(batch if self._trials is None else batch[: self._trials])
        while fitting and self._end is not None and time.monotonic() + self._needs(fitting) > self._end:
            fitting.pop()
        return fitting

    def took(self, trials: Sequence[Trial], seconds: float) -> None:
        """These trials are trained."""
        self._foretold += self._of(trials)
        self._took += seconds
        if self._trials is not None:
            self._trials -= len(trials)

    def _needs(self, trials: Sequence[Trial]) -> float:
        return self._of(trials) * (self._took / self._foretold if self._foretold else 1.0)

    def _of(self, trials: Sequence[Trial]) -> float:
        return sum(self._cost(trial) for trial in trials) / min(self._workers, len(trials))
