"""Chooses learning rates: trains candidates, and more of them where the best is the last one in a row."""

from collections.abc import Sequence
from pathlib import Path

from bench.plan.catalogue import catalogue
from bench.plan.protocol import Protocol
from bench.plan.selection import first_candidates, rate_trials, widened
from bench.report.selection import apart, as_written, at_edges, rate_table, render_apart, render_edges, render_selection
from bench.run.runner import prepare_run
from bench.session.request import Place
from bench.session.training import train_and_time


def select_rates(
    architectures: Sequence[str], seeds: Sequence[int], protocol: Protocol, place: Place, data_dir: Path, results: Path
) -> int:
    """Trains every architecture with every seed at every candidate until the best ones lie inside, or have been looked
    for far enough, and prints the choice; the exit code. Raises BenchError."""
    first, code = first_candidates(protocol), 0
    candidates = first
    while True:
        wanted = list(rate_trials(architectures, seeds, protocol, candidates))
        run = prepare_run(wanted, "selection", data_dir, results)
        code = max(code, train_and_time(run, place, timing=False))
        rows, classes = run.rows(), run.data.classes
        table, others = rate_table(rows, classes), apart(rows, classes)
        lower, upper = at_edges(table, others, candidates)
        wider = widened(candidates, first, lower, upper)
        if wider == candidates:
            break
        print(f"{render_edges(lower, upper, candidates)}\nMore are tried beyond.", flush=True)
        candidates = wider
    print(render_selection(table))
    for more in (render_apart(others), render_edges(lower, upper, candidates)):
        if more:
            print(more)
    if catalogue().name:
        print(f"For the study's file: {as_written(table, others, architectures)}")
    print(f"Rows: {run.store.trials_path}")
    return code
