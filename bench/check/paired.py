"""One row of the quality check: what seeds reached here against what the same seeds reached in the baseline. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.check.power import Difference, difference, judge
from bench.check.verdict import CheckRow, Interval, Kind, Verdict, update_command
from bench.record.schema import QualityRow
from bench.report.show.words import percent
from bench.report.stats.chance import chance_limit

# A gain is no reason to be glad unless the change is meant to bring it: one beyond the margin fails.
_BETTER = "surely better, as when test images are trained on; where it is meant, `bench check quality --update`"


@dataclass(frozen=True, slots=True)
class Margins:
    """What a change of accuracy (a fraction) and of test loss (nats) may be, and how many test images there are, of
    which the commonest class has the share `chance`."""

    accuracy: float
    loss: float
    images: int
    chance: float

    def of_mean(self, cells: int) -> "Margins":
        """Those of the mean of so many cells: as many times the spread as those of one."""
        return Margins(self.accuracy / math.sqrt(cells), self.loss / math.sqrt(cells), self.images, self.chance)


# A cell's rows by seed.
Seeds = Mapping[int, QualityRow]


def compare_cell(
    name: str, here: Seeds, there: Seeds, seeds: Sequence[int], margins: Margins, place: tuple[str, int] | None = None
) -> CheckRow:
    """The row of a cell whose seeds both sides have."""
    ours, theirs = [here[seed] for seed in seeds], [there[seed] for seed in seeds]
    limit = chance_limit(margins.chance, 1 / margins.images)
    fallen = [new.seed for new, old in zip(ours, theirs, strict=True) if new.test_accuracy <= limit < old.test_accuracy]
    if fallen:
        said = f"seeds {', '.join(map(str, fallen))} collapsed: no better than guessing (up to {percent(limit)})"
        return _row(name, Verdict.FAIL, said, None, ours, theirs, place)
    if all(map(_same, ours, theirs)):
        losses = "" if theirs[0].test_loss is None else " and losses"
        said = f"all {len(seeds)} accuracies{losses} are the baseline's"
        return _row(name, Verdict.PASS, said, None, ours, theirs, place)
    accuracy = [new.test_accuracy - old.test_accuracy for new, old in zip(ours, theirs, strict=True)]
    losses_known = all(row.test_loss is not None for row in theirs)
    gained = [_less(old.test_loss, new.test_loss) for new, old in zip(ours, theirs, strict=True)]
    verdict, said, interval = _judged(accuracy, gained if losses_known else None, margins, len(seeds))
    return _row(name, verdict, f"{_machines(ours, theirs)}; {said}", interval, ours, theirs, place)


def compare_mean(name: str, cells: Sequence[tuple[Seeds, Seeds]], seeds: Sequence[int], margins: Margins) -> CheckRow:
    """The row of the mean of several cells, of each what is here and in the baseline: a small change of all of them is
    seen in it and in no cell."""
    pairs = [[(here[seed], there[seed]) for here, there in cells] for seed in seeds]
    every = [pair for own in pairs for pair in own]
    ours, theirs = [new for new, _ in every], [old for _, old in every]
    if all(map(_same, ours, theirs)):
        return _row(name, Verdict.PASS, "every cell is the baseline's", None, ours, theirs, None)
    accuracy = [float(np.mean([new.test_accuracy - old.test_accuracy for new, old in own])) for own in pairs]
    known = all(old.test_loss is not None for old in theirs)
    gained = [float(np.mean([_less(old.test_loss, new.test_loss) for new, old in own])) for own in pairs]
    smaller = margins.of_mean(len(cells))
    verdict, said, interval = _judged(accuracy, gained if known else None, smaller, len(seeds), len(cells))
    return _row(name, verdict, f"{_machines(ours, theirs)}; {said}", interval, ours, theirs, None)


def absent_row(name: str, verdict: Verdict, message: str, place: tuple[str, int] | None = None) -> CheckRow:
    """A row of what can't be compared."""
    return CheckRow(Kind.QUALITY, name, verdict, "", "", message, place=place)


def new_row(name: str, place: tuple[str, int] | None) -> CheckRow:
    """A row of a cell that the baseline lacks."""
    return absent_row(name, Verdict.NEW, f"not in the baseline under today's protocol: {update_command()}", place)


def _judged(
    accuracy: Sequence[float], loss: Sequence[float] | None, margins: Margins, seeds: int, cells: int = 1
) -> tuple[Verdict, str, Interval]:
    """By accuracy and, where the baseline has it, by loss: a row fails where one fails and passes where both pass."""
    first = difference(accuracy, margins.accuracy, 1 / margins.images / cells)
    verdicts, said = [judge(first)], [_in_points(first, seeds)]
    if loss is not None:
        second = difference(loss, margins.loss, 1e-6)
        verdicts.append(judge(second))
        said.append(_in_nats(second))
    verdict = next(one for one in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if one in verdicts)
    words = f"a change of {100 * first.interval.detectable:.1f} points would show"
    return verdict, "; ".join([*said, words]), first.interval


def _in_points(measured: Difference, seeds: int) -> str:
    interval = measured.interval
    change = f"{100 * interval.change:+.2f} points ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
    return f"{change} over {seeds} seeds: {_said(measured, f'{100 * interval.margin:.3g}')}"


def _in_nats(measured: Difference) -> str:
    """The loss, which falls where values get better."""
    interval = measured.interval
    change = f"test loss {-interval.change:+.3f} ({-interval.high:+.3f} to {-interval.low:+.3f})"
    return f"{change}: {_said(measured, f'{interval.margin:.2g}')}"


def _said(measured: Difference, margin: str) -> str:
    verdict, better = judge(measured), measured.interval.low > 0
    if better:
        return _BETTER
    if verdict is Verdict.FAIL:
        return f"worse by more than the margin of {margin}"
    return f"within the margin of {margin}" if verdict is Verdict.PASS else f"unresolved at a margin of {margin}"


def _machines(ours: Sequence[QualityRow], theirs: Sequence[QualityRow]) -> str:
    """Whether other bits than the baseline's were to be expected."""
    there, here = theirs[0], ours[0]
    if there.vectors is None:
        return "the baseline doesn't say on which kind of machine it was made, so other bits mean nothing"
    if (there.vectors, there.torch) != (here.vectors, here.torch):
        return (
            f"another machine than the baseline's ({there.vectors} and torch {there.torch}, here {here.vectors} and "
            f"{here.torch}): not the same bits expected"
        )
    return "not the baseline's bits, on a machine of its kind: this tree trains otherwise"


def _same(new: QualityRow, old: QualityRow) -> bool:
    return new.test_accuracy == old.test_accuracy and old.test_loss in (None, new.test_loss)


def _less(old: float | None, new: float | None) -> float:
    return math.nan if old is None or new is None else old - new


def _row(
    name: str,
    verdict: Verdict,
    message: str,
    interval: Interval | None,
    ours: Sequence[QualityRow],
    theirs: Sequence[QualityRow],
    place: tuple[str, int] | None,
) -> CheckRow:
    samples = {"baseline": [row.test_accuracy for row in theirs], "here": [row.test_accuracy for row in ours]}
    losses = {"baseline loss": [row.test_loss for row in theirs], "here loss": [row.test_loss for row in ours]}
    samples |= {arm: [loss for loss in values if loss is not None] for arm, values in losses.items()}
    before, now = (percent(float(np.mean(samples[arm]))) for arm in ("baseline", "here"))
    return CheckRow(Kind.QUALITY, name, verdict, before, now, message, interval, samples, place)
