"""Trains stacks on a Ray cluster. Ray itself lives in a process of its own, `bench.run.ray_driver`: where a cluster is
lost it may end the process that it runs in, or hang it, and the process that writes rows must do neither."""

import os
import queue
import re
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from bench.errors import BenchError
from bench.plan.protocol import Device
from bench.plan.trials import Trial
from bench.run.executor import Finished
from bench.run.pool import share_memory
from bench.run.ray_driver import Capacity, Failure, Message, drive
from bench.run.spawning import BareSpawnContext
from bench.run.travel import packed
from bench.run.worker import Train, train_stack
from bench.train.data import Data

# How long a host may take to accept a connection, which says at once what Ray says after a minute.
LISTEN_SECONDS = 10.0

# How long a cluster may take to let a run in. With what a command does before, that is less than a minute.
CONNECT_SECONDS = 40.0

# How long it may then be silent before it counts as lost; it answers about once a second. Ray gives a lost head as
# much.
SILENCE_SECONDS = 60.0

# A node that finishes a stack finds the next one there; all other stacks wait here, however many there are.
AHEAD = 3
LEAST_AHEAD = 16

# How long a look at whether it answers takes at most.
LOOK_SECONDS = 0.5

# How long Ray may take to leave a cluster.
LEAVE_SECONDS = 10.0


WAY_ON_NODE = "install this project's dependencies on its nodes, in this machine's versions, and "


class ClusterError(BenchError):
    """The cluster can't be reached, was lost, or can't run this code."""


class RayExecutor:
    """An Executor on a Ray cluster: a stack is a task that takes one CPU, or on a GPU also `gpus_per_stack` of one.

    Nodes may come and go. `address` is `auto` or `ray://host:port`. Raises ClusterError when it isn't reached, and
    BenchError when there is too little shared memory for `data`.
    """

    def __init__(
        self, address: str, data: Data, device: Device, gpus_per_stack: float = 1.0, train: Train = train_stack
    ) -> None:
        self._address = address
        self._require_listener()
        share_memory(data)
        self.slots = 0
        self._stacks: deque[Sequence[Trial]] = deque()
        self._under_way = 0
        self._lost: str | None = None
        self._on_node = False
        self._reached = False
        self._device = device
        self._said_empty = False
        self._heard = time.monotonic()
        context = BareSpawnContext()
        self._pipe, theirs = context.Pipe()
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._process = context.Process(
            target=drive, args=(theirs, address, data, device, gpus_per_stack, train, packed())
        )
        self._process.start()
        theirs.close()
        threading.Thread(target=_read, args=(self._pipe, self._messages), daemon=True).start()
        try:
            self._connect()
        except BaseException:
            self._leave()
            raise

    def submit(self, stack: Sequence[Trial]) -> None:
        """Takes a stack to train, in order of submission."""
        self._stacks.append(stack)

    def wait(self, seconds: float) -> list[Finished]:
        """The stacks that came back since, after about so many seconds at most. Raises ClusterError when the cluster is
        lost."""
        self._send()
        self._say_if_empty()
        finished = self._receive(seconds)
        if finished:
            return finished
        if self._lost is None and time.monotonic() - self._heard > SILENCE_SECONDS:
            self._lost = f"no word for {SILENCE_SECONDS:.0f} s"
        if self._lost is not None:
            raise ClusterError(
                f"the cluster at {self._address} {'cannot train' if self._on_node else 'is lost'} ({self._lost}); "
                f"every trial that came back is recorded: {WAY_ON_NODE if self._on_node else ''}"
                "run the same command again to go on"
            )
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _connect(self) -> None:
        end = time.monotonic() + CONNECT_SECONDS
        while not self._reached and self._lost is None and time.monotonic() < end:
            self._receive(LOOK_SECONDS)
        if not self._reached:
            raise self._unreached(self._lost or f"no word for {CONNECT_SECONDS:.0f} s")

    def _require_listener(self) -> None:
        """Raises ClusterError where nothing accepts connections at an address that is given."""
        given = os.environ.get("RAY_ADDRESS", "") if self._address == "auto" else self._address
        host_and_port = re.fullmatch(r"(?:ray://)?\[?([^/\s]+?)\]?:(\d+)", given)
        if host_and_port is None:  # Ray looks for one on this machine
            return
        try:
            socket.create_connection((host_and_port[1], int(host_and_port[2])), LISTEN_SECONDS).close()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self._unreached(f"{given}: {reason}") from error

    def _unreached(self, reason: str) -> ClusterError:
        return ClusterError(
            f"no Ray cluster answers at {self._address} ({reason}): start one with `ray start --head`, or give its "
            "address as ray://host:10001"
        )

    def _send(self) -> None:
        while self._stacks and self._under_way < max(AHEAD * self.slots, LEAST_AHEAD):
            try:
                self._pipe.send(self._stacks[0])
            except OSError:  # its end is read as a message
                return
            self._stacks.popleft()
            self._under_way += 1

    def _receive(self, seconds: float) -> list[Finished]:
        """What came back, waiting for the first so long; notes what else the messages say."""
        finished: list[Finished] = []
        end = time.monotonic() + seconds
        while True:
            try:
                message = self._messages.get(timeout=0 if finished else max(end - time.monotonic(), 0.0))
            except queue.Empty:
                return finished
            match message:
                case Finished():
                    finished.append(message)
                    self._under_way -= 1
                case Capacity(slots):
                    self.slots = slots
                    self._reached = True
                case Failure(reason, on_node):
                    self._lost, self._on_node = reason, on_node
                    return finished
                case None:
                    self._lost = self._lost or "Ray gave it up"
                    return finished
            self._heard = time.monotonic()

    def _say_if_empty(self) -> None:
        """Once, until there is a node."""
        if not self.slots and not self._said_empty:
            unit = "GPU" if self._device == "cuda" else "CPU"
            print(f"the cluster at {self._address} has no {unit} to train on; waiting for a node", file=sys.stderr)
        self._said_empty = not self.slots

    def _leave(self) -> None:
        if self._reached and self._lost is None:
            with suppress(OSError):  # it may have ended just now
                self._pipe.send(None)
            self._process.join(LEAVE_SECONDS)
        self._process.kill()
        self._process.join()


def _read(pipe: Connection, messages: "queue.SimpleQueue[Message | None]") -> None:
    """Takes everything off the pipe as it comes, so that neither side waits for the other. Ends with None."""
    try:
        while True:
            messages.put(pipe.recv())
    except (EOFError, OSError):
        messages.put(None)
