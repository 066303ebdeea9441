"""What it costs to look again, and what it saves: `python -m tests.perf.sequential`.

Prints three tables. *Rules*: of single contrasts with 3 to 100 seeds, how often rules err when looked at on a ladder of
numbers of seeds and after every seed, and how many seeds they take. *Families*: what errs and is covered when seeds go
where they decide, with the harness's own rule and allocation. *The study*: how many trials a fixed design and
`--until settled` take to settle as many of the built-in study's contrasts, at the means and spreads of its committed
rows. It judges nothing; `bench/report/stats/sequential.py` has the rule that was chosen, and says why.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from tabulate import tabulate

from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.sections.effects.looks import answerable
from bench.report.stats.allocation import Pair
from bench.report.stats.contrast import contrast
from bench.report.stats.sequential import log_evidence
from bench.report.stats.verdict import ALPHA, judge_family
from tests.perf.settling import drawn, false_verdict, settle

Array = NDArray[np.float64]
MOST = 100
LEVEL = ALPHA / 16

# Numbers of seeds, each a quarter more than the one before.
LADDER = [3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 31, 39, 49, 61, 76, 95]


def student(t: Array, counts: Array, _levels: Array) -> Array:
    """p of a t test, as if there were one look."""
    p: Array = 2 * special.stdtr(counts - 1, -np.abs(t))
    return p


def spent(t: Array, counts: Array, levels: Array) -> Array:
    """Always-valid p of group sequential looks: each look's p over the share of the error that is spent at it."""
    p: Array = np.minimum(student(t, counts, levels) / levels, 1)
    return p


def anytime_valid(t: Array, counts: Array, _levels: Array) -> Array:
    """The harness's own."""
    return np.exp(-np.maximum(log_evidence(t, counts - 1, counts), 0))


Rule = Callable[[Array, Array, Array], Array]


def shares_of_error(shape: str, draws: int = 200_000) -> Array:
    """At every number of seeds the share of LEVEL that its look tests at, so that all looks on the ladder together err
    at LEVEL with normal means (Lan and DeMets 1983): constant, or little at first and most at last."""
    generator = np.random.default_rng(0)
    steps = np.diff([0, *LADDER])
    walks = (generator.normal(size=(draws, len(LADDER))) * np.sqrt(steps)).cumsum(1)
    z = np.abs(walks) / np.sqrt(LADDER)
    grown = np.ones(len(LADDER)) if shape == "Pocock" else np.sqrt(LADDER[-1] / np.array(LADDER))
    bound = float(np.quantile((z / grown).max(1), 1 - LEVEL))
    shares = 2 * stats.norm.sf(bound * grown) / LEVEL
    return np.array([shares[max(0, np.searchsorted(LADDER, n, "right") - 1)] for n in range(3, MOST + 1)])


def rules() -> Mapping[str, tuple[Rule, Array]]:
    """The rules by name, with the shares of the error that they spend."""
    once = np.ones(MOST - 2)
    return {
        "t at every look": (student, once),
        "spending, Pocock": (spent, shares_of_error("Pocock")),
        "spending, O'Brien-Fleming": (spent, np.maximum(shares_of_error("O'Brien"), 1e-12)),
        "anytime-valid t": (anytime_valid, once),
    }


def running(values: Array) -> tuple[Array, Array, Array]:
    """Mean and standard error after 3, 4, ... of a row's values, and how many these are."""
    counts = np.arange(1, values.shape[1] + 1)
    means = values.cumsum(1) / counts
    variances = ((values**2).cumsum(1) - counts * means**2)[:, 2:] / (counts[2:] - 1)
    return means[:, 2:], np.sqrt(variances / counts[2:]), counts[2:].astype(float)


def rule_table(draws: int) -> str:
    """The first table."""
    generator = np.random.default_rng(1)
    on_ladder = np.array(LADDER) - 3
    noise = {
        "normal": generator.normal(size=(draws, MOST)),
        "skewed": generator.exponential(size=(draws, MOST)) - generator.exponential(size=(draws, MOST)),
    }
    lines = []
    for name, (rule, shares) in rules().items():
        line: list[object] = [name]
        for values in noise.values():
            mean, error, counts = running(values)
            p = rule(mean / error, counts, shares)
            line += [f"{np.mean((p[:, at] <= LEVEL).any(1)) / LEVEL:.1f}" for at in (on_ladder, slice(None))]
        for effect in (1.5, 0.8, 0.5):
            mean, error, counts = running(noise["normal"] + effect)
            p = rule(mean / error, counts, shares)
            # Spending is looked at on its ladder, the others after every seed.
            looks = on_ladder if name.startswith("spending") else np.arange(MOST - 2)
            found = p[:, looks] <= LEVEL
            first = np.where(found.any(1), counts[looks][found.argmax(1)], MOST)
            line.append(f"{first.mean():.0f} ({found.any(1).mean():.2f})")
        lines.append(line)
    headers = ["rule", "error, ladder", "every seed", "skewed, ladder", "every seed", "1.5 sd", "0.8 sd", "0.5 sd"]
    return (
        f"Rules, {draws} draws: false findings as a multiple of the level {LEVEL:.4f}, at any look on the ladder and "
        "after any seed;\nmean number of seeds to find a difference (and the share that is found by 100)\n"
        + tabulate(lines, headers=headers, disable_numparse=True)
    )


def family_table(draws: int) -> str:
    """The second table: five toggles on a preset, of unequal spreads."""
    arms, pairs = list(range(6)), [Pair[Any](toggle, 0) for toggle in range(1, 6)]
    spreads, lines = (1, 0.5, 1, 1.5, 2, 1), []
    for most in (10, 30, 100):
        for first in (5, 20):
            if first > most:
                continue
            for skewed in (False, True):
                for truth in (0.0, 0.3):
                    false, last, every, trials = 0, 0, 0, 0
                    for number in range(draws):
                        value = drawn(
                            np.random.default_rng(number),
                            arms,
                            spreads,
                            [0] + [truth] * 5,
                            correlation=0.2,
                            skewed=skewed,
                            most=most,
                        )
                        counts = {arm: first if arm == 0 else min(5, first) for arm in arms}
                        came = settle(pairs, value, 0.3, [truth] * 5, most=most, batch=8, counts=counts)
                        false += false_verdict(came.verdicts, [truth] * 5, 0.3)
                        last += sum(one is not None and one.low <= truth <= one.high for one in came.last)
                        every += sum(came.covered)
                        trials += came.trials
                    known = draws * len(pairs)
                    noise = "skewed" if skewed else "normal"
                    line = [f"{first}/5", most, noise, truth, f"{false / draws:.3f}"]
                    lines.append([*line, f"{last / known:.3f}", f"{every / known:.3f}", f"{trials / draws:.0f}"])
    headers = ["first seeds", "at most", "noise", "truth", "family errs", "covers at the end", "at all looks", "trials"]
    return f"Families of five, {draws} draws, margin 0.3 (a truth of 0.3 is called equivalent falsely)\n" + tabulate(
        lines, headers=headers, disable_numparse=True
    )


def study_table(draws: int, results: Path) -> str:
    """The third table."""
    evidence = gather(Store(results), results.name)
    questions = answerable(evidence)
    arms = list(dict.fromkeys(cell for one in questions for cell in (one.baseline, one.treated)))
    accuracies = {cell: 100 * np.array(list(evidence.values(cell).values())) for cell in arms}
    means = {cell: float(values.mean()) for cell, values in accuracies.items()}
    spreads = [float(values.std(ddof=1)) for values in accuracies.values()]
    pairs = [Pair[Any](one.treated, one.baseline) for one in questions]
    truths = [means[one.treated] - means[one.baseline] for one in questions]
    most, margin = 2_000, 0.05
    sizes = np.unique(np.geomspace(8, most, 40).astype(int))
    fixed, closed = np.zeros((draws, len(sizes))), np.full((draws, len(pairs)), math.inf)
    false = 0
    for number in range(draws):
        value = drawn(
            np.random.default_rng(number),
            arms,
            spreads,
            list(means.values()),
            correlation=0.23,
            skewed=False,
            most=most,
        )
        drawn_of = {arm: np.array([value(arm, seed) for seed in range(most)]) for arm in arms}
        for place, size in enumerate(sizes):
            both = [np.stack([drawn_of[one.treated][:size], drawn_of[one.baseline][:size]], 1) for one in questions]
            judged = judge_family([contrast((1, -1), values) for values in both], margin)
            fixed[number, place] = sum(one.settled for one in judged)
        came = settle(pairs, value, margin, truths, most=most, batch=8)
        at = sorted(came.closed_at.values())
        closed[number, : len(at)] = at
        false += false_verdict(came.verdicts, truths, margin)
    lines = []
    for count in range(6, len(pairs) + 1):
        enough = np.flatnonzero(fixed.mean(0) >= count)
        trials = len(arms) * int(sizes[enough[0]]) if enough.size else None
        own = closed[:, count - 1]
        middle = float(np.median(own))
        share = f"{middle / trials:.0%}" if trials and math.isfinite(middle) else ""
        reached = f"{np.mean(np.isfinite(own)):.2f}"
        lines.append([count, int(sizes[enough[0]]) if enough.size else None, trials, middle, share, reached])
    headers = ["settled", "seeds a cell, fixed", "trials, fixed", "until settled", "of fixed", "got there"]
    return (
        f"The study's {len(pairs)} contrasts of {len(arms)} cells, {draws} draws, margin 0.05 points: trials after "
        f"which so many are settled\n(fixed: on average; until settled: median); {false} of {draws} had a false "
        "verdict\n" + tabulate(lines, headers=headers)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1_000, help="of a family; of the study a fiftieth")
    parser.add_argument("--results", type=Path, default=Path("results/mnist"))
    parser.add_argument("--table", choices=["rules", "families", "study"], help="one of them only")
    options = parser.parse_args(arguments)
    tables: dict[str, Callable[[], str]] = {
        "rules": lambda: rule_table(20 * options.draws),
        "families": lambda: family_table(options.draws),
        "study": lambda: study_table(max(options.draws // 50, 1), options.results),
    }
    for name, table in tables.items():
        if options.table in (None, name):
            print(table(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
