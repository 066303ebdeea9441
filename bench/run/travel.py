"""How a user's study gets to other processes: by content, so that these need neither its file nor what lies beside it,
and a file that is edited meanwhile changes nothing."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

import cloudpickle

from bench.errors import BenchError, UsageError, one_line
from bench.plan.catalogue import catalogue, use

# The built-in study is in every process that has this package.
BUILT_IN = b""


class ArrivalError(BenchError):
    """A process that should train can't load the study."""


def packed() -> bytes:
    """The study in use, as `unpack` takes it in another process. Raises UsageError for what can't travel."""
    known = catalogue()
    if not known.name:
        return BUILT_IN
    # Data travel by themselves; what was claimed and published, nobody asks there.
    architectures = {name: replace(one, published=None) for name, one in known.architectures.items()}
    needed = replace(known, architectures=architectures, datasets={}, claims=(), checks={}, modules=(), search=None)
    try:
        with _by_value(known.modules):
            return bytes(cloudpickle.dumps(needed))
    except Exception as error:
        reason = one_line(error)
        raise UsageError(
            f"the study can't be sent to other processes ({type(error).__name__}: {reason}): make what a builder or a "
            "change uses inside of it, as an open file or a lock; or train in this process with --workers 0"
        ) from error


def unpack(study: bytes) -> None:
    """Puts a study in use. Raises ArrivalError."""
    if study == BUILT_IN:
        return
    try:
        use(pickle.loads(study))  # noqa: S301  # this run packed it
    except Exception as error:
        reason = one_line(error)
        raise ArrivalError(
            f"a worker process can't load the study ({type(error).__name__}: {reason}): import at the top of its file "
            "what it needs, and only what every machine has or what lies beside the file"
        ) from error


@contextmanager
def _by_value(modules: Sequence[ModuleType]) -> Iterator[None]:
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
