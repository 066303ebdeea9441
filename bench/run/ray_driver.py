"""The process between a run and a Ray cluster, and what a task does on a node. Nothing else imports Ray."""

import logging
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import architectures
import bench
from bench.plan.protocol import Device
from bench.plan.trials import Trial
from bench.record.machine import this_machine
from bench.record.schema import MachineRow
from bench.run.code import code_digest
from bench.run.compiling import compile_ahead
from bench.run.executor import Finished
from bench.run.spawning import follow_parent
from bench.run.travel import BUILT_IN, unpack
from bench.run.worker import Train, Trained, use_one_thread
from bench.train.data import Data, Split
from bench.train.device import cpu_vectors, gpu_and_cuda
from bench.train.kept import Keep

# How often the cluster is asked how large it is, which is also the sign that it is there.
ASK_SECONDS = 1.0

# How long a look for finished stacks takes at most: so long may a new stack lie.
LOOK_SECONDS = 0.1

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Capacity:
    """The cluster is there and can train so many stacks at once."""

    slots: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The cluster is not there, or its nodes can't train; `reason` says why."""

    reason: str
    on_node: bool = False


Message = Finished | Capacity | Failure


def drive(
    pipe: Connection,
    address: str,
    data: Data,
    device: Device,
    gpus_per_stack: float,
    train: Train,
    study: bytes = BUILT_IN,
) -> None:
    """Trains the stacks that the pipe brings as tasks and sends what comes back, until it brings None or ends."""
    follow_parent()
    _silence()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    try:
        with tempfile.TemporaryDirectory() as empty:
            ray.init(address, runtime_env=_runtime_env(empty), log_to_driver=False, logging_level=logging.ERROR)
        # A terminal sends it to every process; the parent decides.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Tasks(pipe, data, device, gpus_per_stack, train, study).run()
    except (EOFError, BrokenPipeError):  # the parent is gone
        pass
    except Exception as error:
        # Training catches what goes wrong in it, so here a node lacks what training needs.
        on_node = isinstance(error, ray.exceptions.RayTaskError | ray.exceptions.RuntimeEnvSetupError)
        pipe.send(Failure(_one_line(error), on_node))
    finally:
        ray.shutdown()


class Tasks:
    """The tasks under way."""

    def __init__(
        self,
        pipe: Connection,
        data: Data,
        device: Device,
        gpus_per_stack: float,
        train: Train,
        study: bytes = BUILT_IN,
    ) -> None:
        import ray

        self.ray = ray
        self._pipe = pipe
        self._resource, self._share = ("GPU", gpus_per_stack) if device == "cuda" else ("CPU", 1.0)
        self._stacks: dict[Any, Sequence[Trial]] = {}
        self.prepare(train, data, code_digest(), study)

    def run(self) -> None:
        """Until the pipe brings None. Raises EOFError when it ends."""
        asked = -ASK_SECONDS
        while True:
            if time.monotonic() - asked >= ASK_SECONDS:
                self._pipe.send(Capacity(self.slots()))
                asked = time.monotonic()
            while self._pipe.poll(0 if self._stacks else LOOK_SECONDS):
                stack = self._pipe.recv()
                if stack is None:
                    return
                self._stacks[self.begin(stack)] = stack
            for task in self._ready():
                self._pipe.send(self._finished(self._stacks.pop(task), task))

    def prepare(self, train: Train, data: Data, code: str, study: bytes = BUILT_IN) -> None:
        """Puts the data where every node fetches it once. A task is tried once: who tries again is `train_all`."""
        gpus = self._share if self._resource == "GPU" else 0
        self._task = self.ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(on_node)
        # In a list, for a task would be handed the contents of a reference that it is given as it is.
        self._given = train, [self.ray.put(_arrays(data))], code, study

    def begin(self, stack: Sequence[Trial]) -> Any:
        """Hands a stack to the cluster; the reference to what will come back."""
        return self._task.remote(stack, *self._given)

    def slots(self) -> int:
        """How many stacks the cluster can train at once. Asking is what shows that it is there."""
        there = self.ray.cluster_resources().get(self._resource, 0.0)
        if self._share >= 1:
            return int(there / self._share)
        return int(there) * int(1 / self._share)

    def _ready(self) -> list[Any]:
        under_way = list(self._stacks)
        if not under_way:
            return []
        ready: list[Any]
        ready, rest = self.ray.wait(under_way, timeout=LOOK_SECONDS)
        if ready and rest:
            ready += self.ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return ready

    def _finished(self, stack: Sequence[Trial], task: Any) -> Finished:
        exceptions = self.ray.exceptions
        try:
            return Finished(stack, self.ray.get(task), None)
        except exceptions.OutOfMemoryError:
            return Finished(stack, (), "killed by its node, whose memory was short")
        except exceptions.WorkerCrashedError:
            return Finished(stack, (), "killed on its node, or crashed")
        except (exceptions.NodeDiedError, exceptions.ObjectLostError):
            return Finished(stack, (), "lost with its node")


class CodeError(Exception):
    """A node has other code than the run."""


def on_node(stack: Sequence[Trial], train: Train, data: list[Any], code: str, study: bytes = BUILT_IN) -> list[Trained]:
    """The task: trains a stack on this node. `data` holds the reference to the arrays, `code` the run's digest,
    `study` the packed study."""
    device = stack[0].protocol.device
    if code_digest() != code:
        raise CodeError("a node trains with other code than this machine's; remove what it has installed of it")
    _unpack(study)
    use_one_thread()
    compile_ahead(stack[0].protocol)
    machine = _machine(device)
    return [replace(trained, machine=machine) for trained in train(stack, _data(data[0]))]


_unpack = cache(unpack)


@cache
def _machine(device: Device) -> MachineRow:
    return this_machine(*gpu_and_cuda(device), cpu_vectors())


Arrays = tuple[str, int, tuple[str, ...] | None, tuple[Any, ...], Mapping[str, Any], Keep]


def _arrays(data: Data) -> Arrays:
    """What Ray keeps once a node, in memory that all of the node's workers map."""
    splits = (data.train, data.held_out)
    arrays = tuple(t.numpy() for split in splits for t in (split.images, split.labels))
    others = {name: _arrays(other) for name, other in data.others.items()}
    return data.name, data.classes, data.class_names, arrays, others, data.keep


@cache
def _data(reference: Any) -> Data:
    """The data behind a reference, which a worker process makes once."""
    import ray

    return _made(ray.get(reference))


def _made(kept: Arrays) -> Data:
    name, classes, class_names, arrays, others, keep = kept
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nobody writes
        images, labels, held_out_images, held_out_labels = map(torch.from_numpy, arrays)
    train, held_out = Split(images, labels), Split(held_out_images, held_out_labels)
    return Data(name, train, held_out, classes, class_names, {one: _made(other) for one, other in others.items()}, keep)


def _runtime_env(empty: str) -> dict[str, object]:
    """The code that nodes get. A working directory, though empty, keeps Ray from looking on nodes for this machine's
    directories, where other code may lie."""
    packages = [str(Path(package.__path__[0])) for package in (bench, architectures)]
    return {"working_dir": empty, "py_modules": packages, "env_vars": ONE_THREAD}


def _silence() -> None:
    """What Ray prints, by the page where a node dies, isn't for whoever watches a run; it stands in Ray's own logs."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nothing, stream.fileno())


def _one_line(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
