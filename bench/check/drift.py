"""Each commit's level, solved from all pairs of commits that were timed, and how far it drifted from first to last.

Five percent a commit pass every check by themselves. Every edge, a commit and its base, is a ratio that was measured on
one machine, so edges of several machines fit together: levels are what explains all of them best (least squares,
weighted by how surely each is known).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy import stats
from tabulate import tabulate

from bench.check.history import Entry
from bench.check.verdict import ExitCode
from bench.record.reading import WriteError

# No edge counts for more than one whose standard error is this, a tenth of a percent: ten pairs tell their own spread
# badly, and by luck it is nearly nothing.
_LEAST_ERROR = 0.001


@dataclass(frozen=True, slots=True)
class Drift:
    """A workload over the commits that are joined by pairs, in the order of their dates.

    `levels` are logarithms against the first, with their standard errors and the degrees of freedom of these. `step` is
    the commit at which the level rose most over that of the commit before, and `rise` by how much.
    """

    workload: str
    commits: tuple[str, ...]
    levels: tuple[float, ...]
    errors: tuple[float, ...]
    degrees: tuple[float, ...]
    step: str
    rise: float
    rise_error: float
    rise_degrees: float

    @property
    def change(self) -> tuple[float, float, float]:
        """From the first commit to the last, with its two-sided 95 % interval, as fractions."""
        return _interval(self.levels[-1], self.errors[-1], self.degrees[-1])

    @property
    def step_change(self) -> tuple[float, float, float]:
        """The largest step, with its two-sided 95 % interval by itself."""
        return _interval(self.rise, self.rise_error, self.rise_degrees)


def drifts(entries: Sequence[Entry]) -> list[Drift]:
    """A drift for each workload."""
    workloads = dict.fromkeys(name for entry in entries for name in entry.ratios)
    return [_drift(name, [entry for entry in entries if name in entry.ratios]) for name in workloads]


def report(found: Sequence[Drift], tolerance: float) -> tuple[ExitCode, str]:
    """The exit code, a regression where a drift is surely more than the tolerance, and a table with a sentence for
    each of these."""
    lines, said = [], []
    for drift in sorted(found, key=lambda one: -one.change[1]):
        change, low, high = drift.change
        lines.append(
            [
                drift.workload,
                len(drift.commits),
                f"{change:+.1%}",
                f"{low:+.1%} to {high:+.1%}",
                f"{drift.step_change[0]:+.1%} at {_short(drift.step)}",
            ]
        )
        if low > tolerance:
            step, step_low, step_high = drift.step_change
            said.append(
                f"{drift.workload} drifted by {change:+.1%} ({low:+.1%} to {high:+.1%}) over {len(drift.commits)} "
                f"commits, from {_short(drift.commits[0])} to {_short(drift.commits[-1])}; its largest step is "
                f"{step:+.1%} ({step_low:+.1%} to {step_high:+.1%}) at {_short(drift.step)}."
            )
    headers = ("workload", "commits", "drift", "95 % interval", "largest step")
    text = tabulate(lines, headers, disable_numparse=True)
    verdict = said or [f"No workload drifted surely by more than {tolerance:+.0%}."]
    words = "\n".join([text, "", *verdict]).replace("%", " %").replace("  %", " %")
    return (ExitCode.REGRESSION if said else ExitCode.PASS), words


def draw(found: Sequence[Drift], path: Path) -> None:
    """A line a workload over the commits, with 95 % intervals. Raises WriteError."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(len(found), 3) or 1
    rows = -(-len(found) // columns) or 1
    with plt.rc_context({"svg.hashsalt": "bench", "font.size": 8}):
        figure, panels = plt.subplots(rows, columns, figsize=(4 * columns, 2.4 * rows), squeeze=False, sharey=True)
        for panel, drift in zip(panels.flat, found, strict=False):
            known = zip(drift.levels, drift.errors, drift.degrees, strict=True)
            bounds = [_interval(level, error, degrees) for level, error, degrees in known]
            middle, low, high = (100 * np.array(values) for values in zip(*bounds, strict=True))
            places = np.arange(len(middle))
            panel.fill_between(places, low, high, alpha=0.2, color="#0072b2", linewidth=0)
            panel.plot(places, middle, marker="o", markersize=3, color="#0072b2")
            panel.axhline(0, color="#888888", linewidth=0.8)
            at = drift.commits.index(drift.step)
            panel.plot(at, middle[at], marker="o", markersize=7, fillstyle="none", color="#d55e00")
            panel.set_title(drift.workload, loc="left")
            shown = places if len(places) <= 8 else places[:: -(-len(places) // 8)]
            panel.set_xticks(shown, [_short(drift.commits[place])[:7] for place in shown], rotation=45)
        for panel in panels[:, 0]:
            panel.set_ylabel("% against the first")
        for panel in panels.flat[len(found) :]:
            panel.set_axis_off()
        figure.tight_layout()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=150, metadata=metadata)
        except OSError as error:
            raise WriteError(f"{path} can't be written: {error.strerror or error}") from error
        finally:
            plt.close(figure)


def _drift(workload: str, entries: Sequence[Entry]) -> Drift:
    joined = _joined_to_the_last(entries)
    commits = _in_order(joined)
    places = {commit: number for number, commit in enumerate(commits)}
    edges = [entry for entry in joined if entry.commit != entry.base]
    design = np.zeros((len(edges), len(commits)))
    measured, weights = np.zeros(len(edges)), np.zeros(len(edges))
    for number, entry in enumerate(edges):
        ratio = entry.ratios[workload]
        design[number, places[entry.commit]] += 1
        design[number, places[entry.base]] -= 1
        measured[number] = ratio.log
        weights[number] = 1 / max(ratio.error, _LEAST_ERROR) ** 2
    # The first commit's level is 0, so its column goes. The edges join all others to it.
    free = design[:, 1:]
    shares = np.zeros((len(commits), len(edges)))  # of each edge in each level
    if edges:
        shares[1:] = np.linalg.solve(free.T @ (weights[:, None] * free), free.T * weights)
    levels = shares @ measured
    at = int(np.argmax(np.diff(levels))) + 1 if edges else 0
    before = max(at - 1, 0)
    known = [_error(share, weights, [entry.ratios[workload].pairs for entry in edges]) for share in shares]
    rise_error, rise_degrees = _error(
        shares[at] - shares[before], weights, [entry.ratios[workload].pairs for entry in edges]
    )
    return Drift(
        workload,
        tuple(commits),
        tuple(map(float, levels)),
        tuple(error for error, _ in known),
        tuple(degrees for _, degrees in known),
        commits[at],
        float(levels[at] - levels[before]),
        rise_error,
        rise_degrees,
    )


def _error(shares: np.ndarray, weights: np.ndarray, pairs: Sequence[int]) -> tuple[float, float]:
    """The standard error of a sum of edges, so much of each, and its degrees of freedom: every edge knows its own
    spread from its own few pairs (Welch 1947, Satterthwaite 1946)."""
    variances = shares**2 / weights
    total = float(variances.sum())
    if total == 0:
        return 0.0, 1.0
    return math.sqrt(total), total**2 / float((variances**2 / (np.array(pairs) - 1)).sum())


def _joined_to_the_last(entries: Sequence[Entry]) -> list[Entry]:
    """The checks that a chain of pairs joins to the last one's commit: others have no level to compare."""
    neighbours: Mapping[str, set[str]] = defaultdict(set)
    for entry in entries:
        neighbours[entry.commit].add(entry.base)
        neighbours[entry.base].add(entry.commit)
    reached, open_ends = {entries[-1].commit}, [entries[-1].commit]
    while open_ends:
        new = neighbours[open_ends.pop()] - reached
        reached |= new
        open_ends += new
    return [entry for entry in entries if entry.commit in reached]


def _in_order(entries: Sequence[Entry]) -> list[str]:
    """All commits: those that were checked by their dates, and before each its base if that never was."""
    dated = {entry.commit for entry in entries}
    order: dict[str, None] = {}
    for entry in sorted(entries, key=lambda one: datetime.fromisoformat(one.date)):
        if entry.base not in dated:
            order.setdefault(entry.base)
        order.setdefault(entry.commit)
    return list(order)


def _interval(level: float, error: float, degrees: float) -> tuple[float, float, float]:
    reach = float(stats.t.ppf(0.975, degrees)) * error
    return math.expm1(level), math.expm1(level - reach), math.expm1(level + reach)


def _short(commit: str) -> str:
    return commit[:10]
