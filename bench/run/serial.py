"""Trains stacks one after another in this process, where a debugger reaches them."""

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bench.plan.trials import Trial
from bench.run.executor import Finished
from bench.run.worker import Train, train_stack, use_one_thread
from bench.train.data import Data


class Serial:
    """An Executor without processes: `wait` trains the next stack, however long it takes."""

    slots = 1

    def __init__(self, data: Data, train: Train = train_stack) -> None:
        use_one_thread()
        self._data = data
        self._train = train
        self._stacks: deque[Sequence[Trial]] = deque()

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""
        self._stacks.append(stack)

    def wait(self, seconds: float) -> list[Finished]:
        """The next stack, trained now. Without time nothing is begun."""
        if not self._stacks or not seconds:
            return []
        stack = self._stacks.popleft()
        return [Finished(stack, self._train(stack, self._data), None)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stacks.clear()
