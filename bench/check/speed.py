"""Whether this tree is slower, or takes more memory, than another: measured side by side on this machine, never against
a committed time.

A row is red only where ten pairs say so and ten new pairs, by themselves, say so too. Then it is said where.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, log1p

from bench.check.arms import Subject, Workloads, measure_pairs
from bench.check.measured import CALIBRATIONS, Pair, medians
from bench.check.pairs import Slowdown, confirmed, judge, pairs_needed, slowdown
from bench.check.profiles import Function, slower_functions
from bench.check.verdict import CheckRow, Interval, Kind, Verdict

PAIRS = 10
TOLERANCE = 0.05

# Workloads that are called so leave bytes, which don't depend on how fast the machine is.
MEMORY = "test_memory"

Measure = Callable[[Workloads], list[Pair]]
Has = Callable[[str], tuple[bool, bool]]
Where = Callable[[str], list[Function]]


@dataclass(frozen=True, slots=True)
class Timing:
    """How often to time, and which slowdown doesn't matter."""

    pairs: int = PAIRS
    tolerance: float = TOLERANCE
    only: str | None = None


def check_speed(subject: Subject, timing: Timing, tick: Callable[[], None]) -> list[CheckRow]:
    """One row per workload. Calls `tick` after each process. Raises BenchError where nothing can be timed."""
    return compare_trees(
        lambda workloads: measure_pairs(subject, workloads, timing.pairs, tick),
        Workloads(timing.only),
        timing.tolerance,
        lambda test: (subject.has(subject.base, test), subject.has(subject.head, test)),
        lambda test: slower_functions(subject, test),
    )


def compare_trees(
    measure: Measure,
    workloads: Workloads,
    tolerance: float,
    has: Has = lambda _: (True, True),
    where: Where = lambda _: [],
) -> list[CheckRow]:
    """Measures, judges, measures anew what looks red, and profiles what is.

    `has` says of a test whether the base and this tree are to run it, `where` which functions became slower.
    """
    pairs = measure(workloads)
    rows = {test: _compare(test, pairs, tolerance, has(test)) for test in _tests(pairs)}
    if suspects := [test for test, row in rows.items() if row.verdict is Verdict.FAIL]:
        again = measure(Workloads(names=suspects))
        rows |= {test: _after_new_pairs(rows[test], _compare(test, again, tolerance, has(test))) for test in suspects}
    for test, row in rows.items():
        if row.verdict is Verdict.FAIL and not test.startswith(MEMORY):  # a profile is of time
            rows[test] = _located(row, where(test))
    return list(rows.values())


def _tests(pairs: Sequence[Pair]) -> list[str]:
    """The workloads that either tree ran or failed to run, this tree's order first."""
    arms = [arm for pair in pairs for arm in (pair.head, pair.base)]
    names = dict.fromkeys(name for arm in arms for name in arm.samples)
    # A reason without a test's name is one of a file or of the process.
    names |= dict.fromkeys(name for arm in arms for name in arm.failures if "test_" in name and not _is_file(name))
    if not names and any(arm.failures for arm in arms):
        names = {"every workload": None}
    return [name for name in names if name not in CALIBRATIONS]


def _is_file(name: str) -> bool:
    return name.endswith(".py")


def _compare(test: str, pairs: Sequence[Pair], tolerance: float, has: tuple[bool, bool]) -> CheckRow:
    base, head = medians(pairs, test)
    name = _shown(test)
    if len(base) < pairs_needed(len(pairs)):
        return _unmeasured(name, test, pairs, len(base), has)
    measured = slowdown(base, head, 0.0 if test.startswith(MEMORY) else _moved(pairs))
    detectable = measured.detectable(tolerance)
    count = f"{measured.pairs} pairs" if measured.pairs == len(pairs) else f"{measured.pairs} of {len(pairs)} pairs"
    message = (
        f"{measured.change:+.1%} ({measured.low:+.1%} to {measured.high:+.1%}) over {count}, sd "
        f"{measured.sd:.1%}; {_detectable(detectable)}"
    ).replace("%", " %")
    return CheckRow(
        Kind.SPEED,
        name,
        judge(measured, tolerance),
        _quantity(test, base),
        _quantity(test, head),
        message + _calibration(measured) + _lost(test, pairs, measured),
        Interval(measured.change, measured.low, measured.high, tolerance, detectable),
        {"base": base, "head": head, "swapped": [float(pair.swapped) for pair in pairs], **_rounds(test, pairs)},
        paired=measured.log_ratio,
    )


def _shown(test: str) -> str:
    """A workload as people read it; a user's own test as pytest calls it."""
    if "::" in test:
        return test
    return test.removeprefix("test_").replace("_", " ").replace("[", " ").rstrip("]")


def _detectable(change: float) -> str:
    return f"{change:+.1%} would show" if isfinite(change) else "no slowdown would show"


def _calibration(measured: Slowdown) -> str:
    """Half a sentence on the machine itself, where it moved enough to be seen in the interval."""
    if measured.moved == inf:
        return "; the calibration workload was not measured, so nothing can be said"
    moved = f"; the calibration workload moved by {measured.moved:.1%}, and the interval is wider by that"
    return moved.replace("%", " %") if measured.moved >= 0.005 else ""


def _lost(test: str, pairs: Sequence[Pair], measured: Slowdown) -> str:
    """What became of the other pairs."""
    if measured.pairs == len(pairs):
        return ""
    reasons = [arm.reason(test) for pair in pairs for arm in (pair.base, pair.head) if test not in arm.samples]
    return f"; the others were lost: {reasons[0]}"


def _unmeasured(name: str, test: str, pairs: Sequence[Pair], count: int, has: tuple[bool, bool]) -> CheckRow:
    """A row of what can't be compared: new only where the base isn't to have it, else with the reason."""

    def row(verdict: Verdict, message: str) -> CheckRow:
        return CheckRow(Kind.SPEED, name, verdict, "", "", message, samples=_rounds(test, pairs))

    in_base, in_head = has
    if not in_base and in_head and any(test in pair.head.samples for pair in pairs):
        return row(Verdict.NEW, "the base has nothing of this name")
    if in_base and not in_head:
        return row(Verdict.MISSING, "the base has it, this tree does not")
    arms = [(word, [getattr(pair, word) for pair in pairs]) for word in ("base", "head")]
    reasons = []
    for word, measured in arms:
        lacking = [one for one in measured if test not in one.samples]
        if lacking:
            where = "the base" if word == "base" else "this tree"
            often = "" if len(lacking) == len(pairs) else f" in {len(lacking)} of {len(pairs)} processes"
            reasons.append(f"it fails in {where}{often}: {lacking[0].reason(test)}")
    few = f"{count} of {len(pairs)} pairs have it; " if count else ""
    return row(Verdict.MISSING, few + "; ".join(reasons))


def _moved(pairs: Sequence[Pair]) -> float:
    """How far the machine itself moved between the trees, on a log scale: what was timed first and last in a process,
    together; infinitely where neither was."""
    for names in (CALIBRATIONS, CALIBRATIONS[:1], CALIBRATIONS[1:]):
        whole = [pair for pair in pairs if all(name in arm.samples for name in names for arm in (pair.base, pair.head))]
        if len(whole) >= pairs_needed(len(pairs)):
            both = [medians(whole, name) for name in names]
            base, head = ([sum(times) for times in zip(*(arms[at] for arms in both), strict=True)] for at in (0, 1))
            return abs(log1p(slowdown(base, head).change))
    return inf


def _after_new_pairs(first: CheckRow, second: CheckRow) -> CheckRow:
    verdict = confirmed(first.verdict, second.verdict)
    word = "confirmed" if verdict is Verdict.FAIL else "not confirmed"
    message = f"{first.message}; {word} by new pairs: {second.message}"
    samples = {**first.samples, **{f"confirming {name}": values for name, values in second.samples.items()}}
    # The first pairs were looked at because they were slow: the new ones alone are what a history may believe.
    return replace(first, verdict=verdict, message=message, samples=samples, paired=second.paired or first.paired)


def _located(row: CheckRow, functions: Sequence[Function]) -> CheckRow:
    """The row with where the time goes, in words, and the first place in this tree."""
    if not functions:
        return row
    said = "; ".join(map(str, functions))
    inside = next((function for function in functions if function.in_tree), None)
    place = (inside.file, inside.line) if inside is not None else None
    return replace(row, message=f"{row.message}. More own time than in the base, by round: {said}", place=place)


def _rounds(test: str, pairs: Sequence[Pair]) -> Mapping[str, Sequence[float]]:
    """Every round, process by process, of the workload and of the calibration beside it."""
    return {
        f"{arm} {number} {name}": samples[name]
        for number, pair in enumerate(pairs)
        for arm, samples in (("base", pair.base.samples), ("head", pair.head.samples))
        for name in (test, *CALIBRATIONS)
        if name in samples
    }


def _quantity(test: str, values: Sequence[float]) -> str:
    middle = sorted(values)[len(values) // 2]
    return f"{middle / 2**20:.4g} MB" if test.startswith(MEMORY) else f"{1000 * middle:.3g} ms"
