"""What a section of a report is: one topic, with all that is said and shown of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from bench.report.report import Report
from bench.report.show.table import Table


class Weight(IntEnum):
    """How much a caveat changes what the numbers say; the heaviest, the lowest number, is read first."""

    MEANING = 0
    LIMIT = 1
    HOUSEKEEPING = 2


class Caveat(NamedTuple):
    """A sentence on what has to be known before the numbers are believed."""

    weight: Weight
    text: str


@dataclass(frozen=True)
class Section:
    """A topic. What it has nothing of it leaves out; a table without rows isn't shown.

    `charts` names modules, from `bench.report.sections` on, each of which has `draw(report)` that returns a chart, or
    None where the rows can't fill it. They are imported when they are drawn, for matplotlib takes a second.
    """

    name: str
    tables: tuple[Callable[[Report], Table], ...] = ()
    charts: tuple[str, ...] = ()
    sentences: Callable[[Report], Iterable[str]] = lambda _: ()
    caveats: Callable[[Report], Iterable[Caveat]] = lambda _: ()
