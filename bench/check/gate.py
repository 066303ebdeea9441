"""The checks as commands run them: each is measured, whatever the others say, and what was asked for is written."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from bench.check import output
from bench.check.baseline import read_baseline, write_baseline
from bench.check.exact import compare_networks, measure_networks
from bench.check.history import append_entry
from bench.check.same import false_alarms
from bench.check.speed import Timing, check_speed
from bench.check.subject import head_tree, make_subject, tests_in
from bench.check.trees import checked_out, copied, find_commit, head_commit
from bench.check.verdict import CheckRow, ExitCode, Kind, Verdict, exit_code, undecided
from bench.errors import BenchError, UsageError
from bench.plan.catalogue import catalogue
from bench.plan.checks import plans
from bench.record.schema import ExactRow, QualityRow
from bench.session.request import root_of
from bench.sources.dataset import choose_dataset

Measured = tuple[list[CheckRow], list[str]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is written, and whether an inconclusive row may be green."""

    strict: bool = False
    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """What is checked: the study as a command names it, or the user's own tests; where baselines, rows and data lie."""

    study: str | None = None
    tests: Path | None = None
    results: Path = Path("results")
    data_dir: Path = Path("data")

    @property
    def baselines(self) -> Path:
        """The folder of the study's results, which has its baselines."""
        return root_of(self.results)


def run_checks(checks: Mapping[Kind, Callable[[], Measured]], outputs: Outputs) -> int:
    """Runs every check, then writes what was asked for; the exit code."""
    rows: list[CheckRow] = []
    notes: list[str] = []
    for kind, measure in checks.items():
        try:
            more, words = measure()
            rows += more
            notes += words
        except BenchError as error:
            rows.append(CheckRow(kind, "all of it", Verdict.MISSING, "", "", str(error)))
    code = exit_code(list(checks), rows, strict=outputs.strict)
    write_all(rows, [*notes, *undecided(list(checks), rows, strict=outputs.strict)], code, outputs)
    return code


def write_all(rows: list[CheckRow], notes: list[str], code: ExitCode, outputs: Outputs) -> None:
    """Prints the rows, and writes the files that were asked for."""
    print(output.table(rows))
    for note in notes:
        print(note)
    print(f"bench check: {output.summary(rows, code)}")
    if os.environ.get("GITHUB_ACTIONS"):
        print("\n".join(output.annotations(rows)))
    text = output.markdown(rows, notes, code)
    output.write_step_summary(text)
    if outputs.markdown is not None:
        output.write_markdown(outputs.markdown, text)
    if outputs.json is not None:
        output.write_json(outputs.json, rows, notes, code)
    if outputs.junit is not None:
        output.write_junit(outputs.junit, rows)


def check_exact(where: Where, dataset: str | None) -> Measured:
    """This tree's networks against their baseline. Raises BenchError."""
    return compare_networks(_networks(where, dataset), read_baseline(where.baselines, ExactRow)), []


def update_exact(where: Where, dataset: str | None) -> None:
    """Writes them as the new baseline, and prints what changed. Raises BenchError."""
    print(write_baseline(where.baselines, ExactRow, _networks(where, dataset)))


def _networks(where: Where, dataset: str | None) -> list[ExactRow]:
    """Of the study's networks what must not change, on its images: those that need no files where there are such, for
    the same answer on every machine."""
    embedded = [name for name, one in catalogue().datasets.items() if not one.files(where.data_dir)]
    chosen, _ = choose_dataset(dataset or next(iter(embedded), None), where.data_dir)
    data = chosen.load(where.data_dir)
    return measure_networks(data.input_shape, data.classes)


def check_quality(where: Where, dataset: str | None, workers: int) -> Measured:
    """What this tree's networks reach against their baseline. Raises BenchError."""
    from bench.check.quality import check_plan, planned_seeds

    baseline = read_baseline(where.baselines, QualityRow)
    rows, notes = [], []
    in_baseline = {row.dataset for row in baseline}
    names = list(_datasets(where, dataset, in_baseline))
    for name in names:
        plan, own = plans()[name](), [row for row in baseline if row.dataset == name]
        if planned := planned_seeds(plan, own):
            notes.append(f"{name}: {planned}")
        rows += check_plan(plan, own, where.data_dir, workers)
    if dataset is None:
        absent = [name for name in plans() if name in in_baseline and name not in names]
        notes += [f"{name}: not checked, because its files are not in {where.data_dir}." for name in absent]
    return rows, notes


def update_quality(where: Where, dataset: str | None, workers: int) -> None:
    """Replaces the baseline's rows of the data sets that are trained; the others stay. Raises BenchError."""
    from bench.check.quality import planned_seeds, train_baseline

    baseline = read_baseline(where.baselines, QualityRow)
    for name in _datasets(where, dataset, {row.dataset for row in baseline}):
        plan = plans()[name]()
        trained = train_baseline(plan, where.data_dir, workers)
        baseline = [*(row for row in baseline if row.dataset != name), *trained]
        print(f"{name}: {planned_seeds(plan, trained)}")
    print(write_baseline(where.baselines, QualityRow, baseline))


def _datasets(where: Where, dataset: str | None, in_baseline: set[str]) -> Iterator[str]:
    if dataset is not None:
        yield dataset
        return
    for name in plans():
        known = catalogue().datasets[name]
        if not known.files(where.data_dir) or (name in in_baseline and known.present(where.data_dir)):
            yield name


def speed_check(where: Where, against: str, timing: Timing, history: Path | None) -> Callable[[], Measured]:
    """The check of times and memory against a git ref. Raises UsageError before anything is measured."""
    head = head_tree(where.study, where.tests)
    commit = find_commit(against, head)
    if where.tests is not None:
        tests_in(head, where.tests)

    def measure() -> Measured:
        with checked_out(against, head) as base, _bar(2 * timing.pairs) as tick:
            subject = make_subject(base, head, where.study, where.tests, where.results, where.data_dir)
            rows = check_speed(subject, timing, tick)
        if not rows:
            raise BenchError("no workload was timed: --only chooses none, or neither tree can run any")
        notes = [f"Speed: this tree against {base.name}."]
        if history is not None:
            append_entry(history, rows, *head_commit(head), base=commit)
            notes.append(f"Added to {history}: `bench check history {history}` says what changes step by step.")
        return rows, notes

    return measure


def time_itself(runs: int, where: Where, timing: Timing, outputs: Outputs) -> int:
    """Times a tree against its own copy, and counts the false alarms; the exit code. Raises BenchError."""
    if not 1 <= runs <= 10_000:
        raise UsageError(f"--aa is 1 to 10,000 runs, not {runs:,}")
    head = head_tree(where.study, where.tests)
    measured = []
    with _bar(2 * timing.pairs * runs) as tick:
        for _ in range(runs):
            with copied(head) as base:
                subject = make_subject(base, head, where.study, where.tests, where.results, where.data_dir)
                measured.append(check_speed(subject, timing, tick))
    alarms = false_alarms(measured)
    write_all([row for rows in measured for row in rows], [str(alarms)], alarms.exit_code, outputs)
    return alarms.exit_code


def all_checks(where: Where, against: str, workers: int, history: Path | None) -> dict[Kind, Callable[[], Measured]]:
    """The three of them. Raises UsageError before anything is measured."""
    return {
        Kind.EXACT: partial(check_exact, where, None),
        Kind.QUALITY: partial(check_quality, where, None, workers),
        Kind.SPEED: speed_check(where, against, Timing(), history),
    }


@contextmanager
def _bar(processes: int) -> Iterator[Callable[[], None]]:
    """Counts processes on a terminal. A confirmation adds more than were expected."""
    with tqdm(total=processes, desc="timing", disable=not sys.stderr.isatty(), leave=False) as bar:

        def tick() -> None:
            bar.update()

        yield tick
