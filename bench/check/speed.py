"""Whether this tree is slower than another, timed side by side on this machine, never against a committed time.

A row is red only where ten pairs say so and ten new pairs, by themselves, say so too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.check.arms import CALIBRATIONS, Pair, Workloads, measure_pairs, medians
from bench.check.pairs import CALIBRATION_LIMIT, Slowdown, calibration_moved, confirmed, judge, slowdown
from bench.check.trees import Tree
from bench.check.verdict import CheckRow, Interval, Kind, Verdict

PAIRS = 10
TOLERANCE = 0.05

Measure = Callable[[Workloads], list[Pair]]


@dataclass(frozen=True, slots=True)
class Timing:
    """What to time, how often, and which slowdown doesn't matter. `rows` is a folder of rows to read and report on."""

    rows: Path
    pairs: int = PAIRS
    tolerance: float = TOLERANCE
    only: str | None = None


def check_speed(base: Tree, head: Tree, timing: Timing, tick: Callable[[], None]) -> list[CheckRow]:
    """One row per workload. Calls `tick` after each process. Raises BenchError where nothing can be timed."""
    return compare_trees(
        lambda workloads: measure_pairs(base, head, workloads, timing.pairs, timing.rows, tick),
        Workloads(timing.only),
        timing.tolerance,
    )


def compare_trees(measure: Measure, workloads: Workloads, tolerance: float) -> list[CheckRow]:
    """Measures, judges, and measures anew what looks red."""
    pairs = measure(workloads)
    rows = {name: _compare(name, pairs, tolerance) for name in _tests(pairs)}
    if suspects := [name for name, row in rows.items() if row.verdict is Verdict.FAIL]:
        again = measure(Workloads(names=suspects))
        rows |= {name: _after_new_pairs(rows[name], _compare(name, again, tolerance)) for name in suspects}
    return list(rows.values())


def _tests(pairs: Sequence[Pair]) -> Iterable[str]:
    """The workloads that either tree ran, this tree's order first."""
    names = dict.fromkeys(name for pair in pairs for arm in (pair.head, pair.base) for name in arm)
    return [name for name in names if name not in CALIBRATIONS]


def _compare(test: str, pairs: Sequence[Pair], tolerance: float) -> CheckRow:
    base, head = medians(pairs, test)
    name = test.removeprefix("test_").replace("_", " ").replace("[", " ").rstrip("]")
    if not base:
        return _uncompared(name, pairs, test)
    measured = slowdown(base, head)
    detectable = measured.detectable(tolerance)
    calibration = _calibration(pairs)
    verdict = judge(measured, tolerance)
    message = (
        f"{measured.change:+.1%} ({measured.low:+.1%} to {measured.high:+.1%}) over {measured.pairs} pairs, sd "
        f"{measured.sd:.1%}; {detectable:+.1%} would show"
    ).replace("%", " %")
    if calibration_moved(calibration):
        moved = f"{calibration.change:+.1%}, limit {CALIBRATION_LIMIT:.0%}".replace("%", " %")
        verdict, message = Verdict.INCONCLUSIVE, f"the calibration workload moved as well ({moved}): {message}"
    if len(base) < len(pairs):
        verdict, message = Verdict.MISSING, f"{len(pairs) - len(base)} pairs lack it: {message}"
    return CheckRow(
        Kind.SPEED,
        name,
        verdict,
        _time(base),
        _time(head),
        message,
        Interval(measured.change, measured.low, measured.high, tolerance, detectable),
        {"base": base, "head": head, "swapped": [float(pair.swapped) for pair in pairs], **_rounds(test, pairs)},
    )


def _uncompared(name: str, pairs: Sequence[Pair], test: str) -> CheckRow:
    here = any(test in pair.head for pair in pairs)
    verdict = Verdict.NEW if here else Verdict.MISSING
    message = "the base has no code for it" if here else "the base runs it, this tree does not"
    return CheckRow(Kind.SPEED, name, verdict, "", "", message, samples=_rounds(test, pairs))


def _calibration(pairs: Sequence[Pair]) -> Slowdown:
    """How the machine itself moved between the trees: what was timed first and last in a process, together."""
    both = [medians(pairs, name) for name in CALIBRATIONS]
    base, head = ([sum(times) for times in zip(*(arms[number] for arms in both), strict=True)] for number in (0, 1))
    return slowdown(base, head)


def _after_new_pairs(first: CheckRow, second: CheckRow) -> CheckRow:
    verdict = confirmed(first.verdict, second.verdict)
    word = "confirmed" if verdict is Verdict.FAIL else "not confirmed"
    message = f"{first.message}; {word} by new pairs: {second.message}"
    samples = {**first.samples, **{f"confirming {name}": values for name, values in second.samples.items()}}
    return replace(first, verdict=verdict, message=message, samples=samples)


def _rounds(test: str, pairs: Sequence[Pair]) -> Mapping[str, Sequence[float]]:
    """The seconds of every round, process by process, of the workload and of the calibration beside it."""
    return {
        f"{arm} {number} {name}": samples[name]
        for number, pair in enumerate(pairs)
        for arm, samples in (("base", pair.base), ("head", pair.head))
        for name in (test, *CALIBRATIONS)
        if name in samples
    }


def _time(seconds: Sequence[float]) -> str:
    middle = sorted(seconds)[len(seconds) // 2]
    return f"{1000 * middle:.3g} ms"
