"""A report: its evidence, and the questions that its sections ask, each of which is answered once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar, cast

from bench.plan.cells import Cell
from bench.report.evidence import Evidence

Answer = TypeVar("Answer")

# Of a cell's network on images of a shape (as in 3x32x32) and so many classes, each layer's kind, receptive field
# (None: the whole image) and MACs; None where it can't be built.
LayersOf = Callable[[Cell, str, int], Sequence[tuple[str, int | None, int]] | None]


@dataclass(frozen=True, eq=False)
class Report:
    """What sections are asked about. `margin` is the practical margin as a fraction: 0.0005 is 0.05 points; `layers_of`
    says what today's networks are made of, which rows don't. `answers` holds what was asked before, by question, and
    `supposed` answers that are taken for given."""

    evidence: Evidence
    margin: float
    layers_of: LayersOf | None = None
    supposed: Mapping[object, Any] = field(default_factory=dict, repr=False)
    answers: dict[object, Any] = field(default_factory=dict, repr=False, init=False)

    def supposing(self, question: Callable[["Report"], Any], answer: Any) -> "Report":
        """The same report if the answer to this question were another; what follows from it is asked anew."""
        return replace(self, supposed={**self.supposed, question: answer})


def once(question: Callable[[Report], Answer]) -> Callable[[Report], Answer]:
    """A question to a report that is answered once, however many sections ask it."""

    @wraps(question)
    def ask(report: Report) -> Answer:
        if ask not in report.answers:
            report.answers[ask] = report.supposed[ask] if ask in report.supposed else question(report)
        return cast(Answer, report.answers[ask])

    return ask
