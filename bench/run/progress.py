"""How far a run is: a bar in a terminal or a notebook, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.plan.cells import Cell
from bench.plan.trials import Trial
from bench.run.worker import Trained

# Where nobody watches, as in a file, a line is written at most this often, in seconds; failures and the end always.
EVERY = 10.0


class Progress:
    """Counts finished trials and says when the rest will be done.

    `expected` gives the seconds that one trial of a cell should take in one worker; what finished trials really took
    corrects it as the run goes on. What is said begins with `about`.
    """

    def __init__(self, trials: Sequence[Trial], expected: Mapping[Cell, float], workers: int, about: str = "") -> None:
        self._total = len(trials)
        self._about = f"{about}, " if about else ""
        self._expected = expected
        self._workers = min(workers, max(len(trials), 1))
        self._open_seconds = sum(expected[trial.cell] for trial in trials)
        self._finished = 0
        self._finished_expected = 0.0
        self._finished_seconds = 0.0
        self._start = time.monotonic()
        self._bar = progress_bar(self._total)
        self._last = "starting workers"
        self._best = (0.0, "")
        self._printed = -EVERY
        if self._bar is None:
            self._print_line()
        self.tick()

    def finished(self, trained: Trained) -> None:
        """A trial is done and recorded."""
        expected = self._expected[trained.trial.cell]
        self._open_seconds -= expected
        self._finished += 1
        if trained.outcome is not None:
            self._finished_expected += expected
            self._finished_seconds += sum(epoch.seconds for epoch in trained.outcome.curve)
            reached = trained.outcome.curve[-1].held_out_accuracy if trained.outcome.status == "done" else 0.0
            self._best = max(self._best, (reached, trained.trial.label))
        self._last = describe(trained)
        if self._bar is not None:
            self.tick()
            self._bar.update()
        elif trained.outcome is None or self._finished == self._total or time.monotonic() >= self._printed + EVERY:
            self._print_line()

    def tick(self) -> None:
        """Time has passed; the bar shows it."""
        if self._bar is not None:
            eta = format_duration(self.remaining_seconds())
            self._bar.set_postfix_str(f"ETA {eta}, {self._about}{self._last}")

    def remaining_seconds(self) -> float:
        """Seconds until the last trial is done, with every worker busy; 0 where the estimate has run out."""
        pace = self._finished_seconds / self._finished_expected if self._finished_expected else 1.0
        work = self._finished_seconds + self._open_seconds * pace
        elapsed = time.monotonic() - self._start
        least = 0.0 if self._finished == self._total else 1.0
        return max(work / self._workers - elapsed, least)

    def _print_line(self) -> None:
        eta = format_duration(self.remaining_seconds())
        accuracy, cell = self._best
        best = f"; best so far {cell}, {accuracy:.2%}" if cell else ""
        text = f"{self._finished}/{self._total} {self._about}{self._last}{best}; ETA {eta}"
        print(text, file=sys.stderr, flush=True)
        self._printed = time.monotonic()

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def progress_bar(total: int) -> Any:
    """A bar of tqdm's for where this runs; None where nobody would see it move."""
    if "ipykernel" not in sys.modules and not sys.stderr.isatty():
        return None
    from tqdm.auto import tqdm  # a terminal's, or a notebook's

    return tqdm(total=total, bar_format="{n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}")


def describe(trained: Trained) -> str:
    """A finished trial in a few words."""
    name = f"{trained.trial.label} seed {trained.trial.seed}"
    if trained.outcome is None:
        return f"{name}: failed, {trained.error}"
    if trained.outcome.status == "diverged":
        return f"{name}: diverged in epoch {trained.outcome.curve[-1].number}"
    last = trained.outcome.curve[-1]
    split = "val" if trained.trial.protocol.val else "test"
    seconds = sum(epoch.seconds for epoch in trained.outcome.curve)
    return f"{name}: {last.held_out_accuracy:.2%} {split}, {seconds:.1f} s"


def format_duration(seconds: float) -> str:
    """47 s, 4 min 10 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
