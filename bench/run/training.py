"""Trains what is missing: submits stacks, records what comes back, tries again where a worker died or a write
failed."""

import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from bench.errors import BenchError
from bench.plan.trials import Trial
from bench.record.store import WriteError
from bench.run.executor import Executor, Finished
from bench.run.interrupt import Interrupts
from bench.run.worker import Trained, utc_now

_log = logging.getLogger(__name__)

TICK_SECONDS = 1.0

# How often a trial is begun before its row says that it failed: a worker may die of what it doesn't share the blame
# for.
ATTEMPTS = 3

# For how long a results folder that can't be written is tried again once nothing is left to train.
PATIENCE_SECONDS = 300.0

Record = Callable[[Trained], None]


def train_all(
    stacks: Sequence[Sequence[Trial]],
    executor: Executor,
    record: Record,
    tick: Callable[[], None],
    interrupts: Interrupts,
) -> None:
    """Trains every trial of the stacks and hands it to `record`. Calls `tick` about once a second.

    A trial whose worker dies is begun again, at most ATTEMPTS times in all. Where `record` raises WriteError it is
    called again until it succeeds; nothing that finished is dropped while the process lives. Raises WriteError when
    that didn't help, BenchError when the executor is lost, KeyboardInterrupt or Terminated when a signal came, with
    everything that finished recorded.
    """
    waiting = _Waiting(record)
    begun = Counter(trial for stack in stacks for trial in stack)
    unfinished = set(begun)
    for stack in stacks:
        executor.submit(stack)
    last_change = time.monotonic()
    while unfinished or waiting:
        if unfinished:
            try:
                back = executor.wait(0.0 if interrupts.received else TICK_SECONDS)
            except BenchError:
                waiting.warn_if_any()
                raise
            for finished in back:
                for trained in _outcomes(finished, begun, executor):
                    unfinished.discard(trained.trial)
                    waiting.add(trained)
                    last_change = time.monotonic()
        else:
            time.sleep(TICK_SECONDS)
        waiting.flush()
        if interrupts.received:
            waiting.warn_if_any()
            interrupts.raise_if_any()
        if not unfinished and time.monotonic() - last_change > PATIENCE_SECONDS:
            waiting.give_up()
        tick()


def _outcomes(finished: Finished, begun: Counter[Trial], executor: Executor) -> Sequence[Trained]:
    """What is to be recorded of a stack. Its trials are tried again one by one: only one of them may be to blame."""
    if finished.death is None:
        return finished.trained
    hopeless = [trial for trial in finished.stack if begun[trial] == ATTEMPTS]
    for trial in finished.stack:
        if trial not in hopeless:
            begun[trial] += 1
            name = f"{trial.label} seed {trial.seed}"
            print(f"a worker was {finished.death}; {name} is tried again", file=sys.stderr)
            executor.submit([trial])
    error = f"its worker died {ATTEMPTS} times, at last {finished.death}"
    return [Trained(trial, None, error, utc_now(), None) for trial in hopeless]


class _Waiting:
    """Trials that finished and are not recorded yet."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._queue: deque[Trained] = deque()
        self._error: WriteError | None = None

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, trained: Trained) -> None:
        self._queue.append(trained)

    def flush(self) -> None:
        while self._queue:
            try:
                self._record(self._queue[0])
            except WriteError as error:
                if self._error is None:
                    _log.warning("%s; what is finished is kept and written when that is possible", error)
                self._error = error
                return
            self._queue.popleft()
            self._error = None

    def warn_if_any(self) -> None:
        if self._queue:
            _log.warning("%s finished trials could not be written: %s", len(self._queue), self._error)

    def give_up(self) -> None:
        """Raises the last WriteError."""
        if self._error is not None:
            raise WriteError(f"{self._error}; {len(self._queue)} finished trials are lost")
