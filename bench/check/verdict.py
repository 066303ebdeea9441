"""What a check says about one thing, and what all of them mean for a process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from bench.plan.catalogue import catalogue


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
    NOT_DECIDED = 4


# Verdicts that say something. An inconclusive row was measured, and says nothing.
_DECIDED = {Verdict.PASS, Verdict.FAIL}


def update_command() -> str:
    """How a baseline gets a row that it lacks."""
    return f"`{catalogue().command('check', '--update')}` adds it"


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
    """One verdict. `baseline` and `value` are as people read them, `samples` the raw measurements by arm.

    `place` is the file and the line that it is about, where they are known. Of times and memory `paired` are the log
    ratio of this tree to the other, its standard error and the number of pairs: what a history is made of.
    """

    kind: Kind
    name: str
    verdict: Verdict
    baseline: str
    value: str
    message: str
    interval: Interval | None = None
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    place: tuple[str, int] | None = None
    paired: tuple[float, float, int] | None = None


def exit_code(kinds: Sequence[Kind], rows: Sequence[CheckRow], *, strict: bool) -> ExitCode:
    """The code for the kinds that were asked for. A regression outweighs what wasn't decided.

    Only a regression that is believed is one. A kind is decided where a row of it is; with `strict` where no row is
    inconclusive. What a committed baseline lacks was not measured: it may have had the row. What the other tree lacks,
    to time against, is new for sure.
    """
    if any(row.verdict is Verdict.FAIL for row in rows):
        return ExitCode.REGRESSION
    return ExitCode.NOT_DECIDED if undecided(kinds, rows, strict=strict) else ExitCode.PASS


def undecided(kinds: Sequence[Kind], rows: Sequence[CheckRow], *, strict: bool) -> list[str]:
    """What keeps a check without a regression from being green, a sentence each."""
    said = []
    for kind in dict.fromkeys(kinds):
        own = [row.verdict for row in rows if row.kind is kind]
        if not own:
            said.append(f"Nothing was measured of {kind}.")
        elif own.count(Verdict.MISSING) or (own.count(Verdict.NEW) and kind is not Kind.SPEED):
            absent = own.count(Verdict.MISSING) + (own.count(Verdict.NEW) if kind is not Kind.SPEED else 0)
            said.append(f"Of {kind} {absent} of {len(own)} rows were not measured or have no baseline.")
        unsure = own.count(Verdict.INCONCLUSIVE)
        if unsure and not _DECIDED.intersection(own):
            said.append(f"Every row of {kind} that was measured is inconclusive ({unsure}): this says nothing.")
        elif unsure and strict:
            said.append(f"Of {kind} {unsure} of {len(own)} rows are inconclusive, and --strict accepts none.")
    return said
