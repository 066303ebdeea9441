"""What a check says about one thing, and what all of them mean for a process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """What is compared: counts, accuracies or times."""

    EXACT = "exact"
    QUALITY = "quality"
    SPEED = "speed"


class Verdict(StrEnum):
    """`new` is here but not in the baseline, `missing` is there but was not measured here."""

    PASS = "pass"  # noqa: S105  # a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NEW = "new"
    MISSING = "missing"


class ExitCode(IntEnum):
    """What `bench check` exits with; 1 and 2 are those of every command."""

    PASS = 0
    REGRESSION = 3
    NOTHING_MEASURED = 4


# How a baseline gets a row that it lacks.
UPDATE = "`python -m bench check --update` adds it"

# Verdicts of rows that were really compared with something.
_COMPARED = {Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Interval:
    """A change with its one-sided 95 % bounds, all fractions: of images, or of the base's time.

    `margin` is the change that would matter, `detectable` the one that would have been found four times in five.
    """

    change: float
    low: float
    high: float
    margin: float
    detectable: float


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One verdict. `baseline` and `value` are as people read them, `samples` the raw measurements by arm."""

    kind: Kind
    name: str
    verdict: Verdict
    baseline: str
    value: str
    message: str
    interval: Interval | None = None
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)


def exit_code(kinds: Sequence[Kind], rows: Sequence[CheckRow], *, strict: bool) -> ExitCode:
    """The code for the kinds that were asked for. A regression outweighs what wasn't measured.

    With `strict`, an inconclusive row counts as a regression. What a committed baseline lacks was not measured: it may
    have had the row. What the other tree lacks, to time against, is new for sure.
    """
    verdicts = {row.verdict for row in rows}
    if Verdict.FAIL in verdicts or (strict and Verdict.INCONCLUSIVE in verdicts):
        return ExitCode.REGRESSION
    lacking = any(row.verdict is Verdict.NEW and row.kind is not Kind.SPEED for row in rows)
    compared = {row.kind for row in rows if row.verdict in _COMPARED}
    if lacking or Verdict.MISSING in verdicts or not compared.issuperset(kinds):
        return ExitCode.NOTHING_MEASURED
    return ExitCode.PASS
