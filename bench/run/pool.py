"""Trains stacks in parallel worker processes."""

import multiprocessing
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from bench.errors import BenchError
from bench.plan.trials import Trial
from bench.run.worker import Trained, start_worker, train_stack

TICK_SECONDS = 1.0


def train_in_pool(
    stacks: Sequence[Sequence[Trial]], workers: int, data_dir: Path
) -> Generator[list[Trained], None, None]:
    """Yields each stack's trials when they are done, and an empty list about once a second in between.

    Closing the iterator early stops the workers. Raises BenchError when a worker dies.
    """
    executor = ProcessPoolExecutor(
        min(workers, len(stacks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start_worker,
    )
    pending = {executor.submit(train_stack, stack, data_dir) for stack in stacks}
    try:
        while pending:
            done, pending = wait(pending, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
            if not done:
                yield []
    except BrokenProcessPool:
        raise BenchError(
            "a worker process died, perhaps out of memory: what is finished is recorded; "
            "run the same command again to go on, with fewer --workers if memory is short"
        ) from None
    finally:
        executor.shutdown(wait=not pending, cancel_futures=True)
        if pending:
            for process in multiprocessing.active_children():
                process.terminate()
