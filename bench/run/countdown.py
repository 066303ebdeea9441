"""How far something is that takes its time, and how long the rest will take."""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bench.run.progress import EVERY, format_duration, progress_bar


class Countdown:
    """Counts steps off, each of a kind: what is left should take what steps of its kind have taken, and one of a kind
    that there was none of yet what all have taken on average. A bar in a terminal or a notebook, elsewhere a line
    every few seconds and in the end. Used as a context."""

    def __init__(self, kinds: Sequence[str], about: str) -> None:
        self._kinds = list(kinds)
        self._about = about
        self._left = Counter(self._kinds)
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._done = 0
        self._last = time.monotonic()
        self._printed = -EVERY
        self._bar = progress_bar(len(self._kinds))

    def done(self, said: str) -> None:
        """The next step is done; `said` is what to say about it."""
        now, kind = time.monotonic(), self._kinds[self._done]
        self._taken[kind].append(now - self._last)
        self._left[kind] -= 1
        self._last = now
        self._done += 1
        left = format_duration(self.remaining_seconds())
        if self._bar is not None:
            self._bar.set_postfix_str(f"{left} left, {self._about}, {said}")
            self._bar.update()
        elif self._done == len(self._kinds) or now >= self._printed + EVERY:
            print(f"{self._about} {self._done}/{len(self._kinds)}, {said}; {left} left", file=sys.stderr, flush=True)
            self._printed = now

    def remaining_seconds(self) -> float:
        """What the steps that are left should take."""
        taken = [seconds for of_kind in self._taken.values() for seconds in of_kind]
        usual = sum(taken) / len(taken) if taken else 0.0
        return sum(
            count * (sum(self._taken[kind]) / len(self._taken[kind]) if self._taken.get(kind) else usual)
            for kind, count in self._left.items()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
