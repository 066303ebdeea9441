"""What every executor does: it takes stacks, trains them somewhere, and hands them back as they finish."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from bench.plan.trials import Trial
from bench.run.worker import Trained
from bench.train.data import Data


@dataclass(frozen=True, slots=True)
class Finished:
    """A stack that came back: trained, or without outcomes since its worker died; then `death` says how."""

    stack: Sequence[Trial]
    trained: Sequence[Trained]
    death: str | None


class Executor(Protocol):
    """Where stacks are trained. Leaving its context stops what still runs."""

    @property
    def slots(self) -> int:
        """How many stacks it can train at once, as far as it knows now."""

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""

    def wait(self, seconds: float) -> list[Finished]:
        """The stacks that came back since, after about so many seconds at most. Raises BenchError when no more can
        come."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


# Opens an executor on data; the number is how many stacks it will get at most.
Open = Callable[[Data, int], Executor]
