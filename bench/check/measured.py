"""What processes measured of two trees. Pure data."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# The file of the workloads, as the processes have it, and those that no change of a tree can touch.
DRIVER = "test_speed.py"
CALIBRATIONS = ("test_calibration_before", "test_calibration_after")

# Among reasons this stands for the process itself, of whatever test.
PROCESS = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """The seconds of every round by test (of memory: bytes), and why others have none. A reason under PROCESS, or under
    a file, is one of every test that has no other."""

    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def reason(self, test: str) -> str:
        """Why a test has no time."""
        file = test.partition("::")[0]
        for name in (test, file, DRIVER, PROCESS):
            if name in self.failures:
                return self.failures[name]
        return "it did not run, and nothing says why"


@dataclass(frozen=True, slots=True)
class Pair:
    """What both trees' processes measured. `swapped` pairs began with head."""

    swapped: bool
    base: Measured
    head: Measured


def medians(pairs: Sequence[Pair], name: str) -> tuple[list[float], list[float]]:
    """A test's median in base and head, of the pairs in which both ran it."""
    both = [(pair.base.samples, pair.head.samples) for pair in pairs]
    times = [(base[name], head[name]) for base, head in both if name in base and name in head]
    return [statistics.median(base) for base, _ in times], [statistics.median(head) for _, head in times]
