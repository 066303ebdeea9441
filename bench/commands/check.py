"""`bench check`: the gate for CI. Compares this tree with its baselines and with another tree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import options as opt
from bench.errors import BenchError, UsageError, near_matches
from bench.plan.catalogue import catalogue
from bench.plan.checks import plans

if TYPE_CHECKING:
    from bench.check.speed import Timing
    from bench.check.verdict import CheckRow, ExitCode, Kind
    from bench.record.schema import ExactRow

check = typer.Typer(
    invoke_without_command=True,
    help="Compare this tree with its baselines and with another tree, for CI.",
    epilog="Exit codes: 0 no regression; 1 something outside the program went wrong; 2 the command line makes no "
    "sense; 3 regression; 4 something was not measured. Inconclusive rows are 0, with --strict 3.",
)

Strict = Annotated[bool, typer.Option("--strict", help="Inconclusive rows fail too.")]
Update = Annotated[
    bool,
    typer.Option("--update", help="Write what is measured as the new baseline, for review; nothing is compared."),
]
Json = Annotated[Path | None, typer.Option("--json", help="Write rows and raw samples there.", show_default=False)]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit XML file there.", show_default=False)]
Against = Annotated[
    str, typer.Option("--against", help="The branch, tag or commit to time this tree against.", metavar="REF")
]
Pairs = Annotated[int, typer.Option("--pairs", help="How many pairs of processes are timed.")]
Tolerance = Annotated[float, typer.Option("--tolerance", help="The slowdown in percent that doesn't matter.")]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        help="Only these workloads, as pytest's -k: 'training_step', 'planning or report'.",
        show_default=False,
    ),
]
Same = Annotated[
    int,
    typer.Option(
        "--aa", help="Time this tree N times against a copy of itself and report the false alarms.", metavar="N"
    ),
]
QualityData = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Only this data set. Default: those that need no files, and others whose files and a baseline are there.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class _Files:
    strict: bool
    json: Path | None
    junit: Path | None


@check.callback()
def every(
    context: typer.Context,
    against: Against = "HEAD",
    strict: Strict = False,
    update: Update = False,
    same: Same = 0,
    json: Json = None,
    junit: Junit = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
) -> int:
    """All three checks. By default this tree is timed against the last commit, which finds what isn't committed yet."""
    if context.invoked_subcommand is not None:
        return 0
    processes = opt.chosen_workers(workers)
    files = _Files(strict, json, junit)

    from bench.check.speed import Timing
    from bench.check.trees import find_commit
    from bench.check.verdict import Kind

    timing = Timing(_rows(results))
    if same:
        return _time_itself(same, timing, files)
    if update:
        _update_exact(None, results, data_dir)
        return _update_quality(None, results, data_dir, processes)
    find_commit(against)
    return _report(
        {
            Kind.EXACT: partial(_exact, None, results, data_dir),
            Kind.QUALITY: partial(_quality, None, results, data_dir, processes),
            Kind.SPEED: partial(_speed, against, timing),
        },
        files,
    )


@check.command()
def exact(
    study: opt.StudyName = None,
    strict: Strict = False,
    update: Update = False,
    json: Json = None,
    junit: Junit = None,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
) -> int:
    """Parameters, MACs, output shapes and receptive fields of every network, against results/baseline/exact.csv."""
    opt.use_study(study)
    results = opt.root_of(results)

    from bench.check.verdict import Kind

    if update:
        return _update_exact(dataset, results, data_dir)
    return _report({Kind.EXACT: partial(_exact, dataset, results, data_dir)}, _Files(strict, json, junit))


@check.command()
def quality(
    study: opt.StudyName = None,
    strict: Strict = False,
    update: Update = False,
    json: Json = None,
    junit: Junit = None,
    dataset: QualityData = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
) -> int:
    """Accuracies of the same seeds, against results/baseline/quality.csv.

    A study that doesn't say what to train has its presets trained for a few epochs.
    """
    opt.use_study(study)
    results = opt.root_of(results)
    processes = opt.chosen_workers(workers)
    if dataset is not None and dataset not in plans():
        raise UsageError(f"no quality is checked on {dataset!r}: {near_matches(dataset, plans())}")

    from bench.check.verdict import Kind

    if update:
        return _update_quality(dataset, results, data_dir, processes)
    return _report(
        {Kind.QUALITY: partial(_quality, dataset, results, data_dir, processes)},
        _Files(strict, json, junit),
    )


@check.command()
def speed(
    against: Against = "HEAD",
    strict: Strict = False,
    pairs: Pairs = 10,
    tolerance: Tolerance = 5.0,
    only: Only = None,
    same: Same = 0,
    json: Json = None,
    junit: Junit = None,
    results: opt.Results = Path("results"),
) -> int:
    """Time this tree against another in pairs of fresh processes, on this machine, now."""
    if not 2 <= pairs <= 1000:
        raise UsageError(f"--pairs is 2 to 1,000 (one pair gives no interval), not {pairs:,}")
    if not 0 < tolerance < 1000:
        raise UsageError(f"--tolerance is a percentage above 0, not {tolerance:g}")
    files = _Files(strict, json, junit)

    from bench.check.speed import Timing
    from bench.check.trees import find_commit
    from bench.check.verdict import Kind

    timing = Timing(_rows(results), pairs, tolerance / 100, only)
    if same:
        return _time_itself(same, timing, files)
    find_commit(against)
    return _report({Kind.SPEED: partial(_speed, against, timing)}, files)


Measured = tuple["list[CheckRow]", list[str]]


def _report(checks: "dict[Kind, Callable[[], Measured]]", files: _Files) -> int:
    """Runs every check, whatever the others say, then writes what was asked for."""
    from bench.check.verdict import CheckRow, Verdict, exit_code

    rows: list[CheckRow] = []
    notes: list[str] = []
    for kind, measure in checks.items():
        try:
            more, words = measure()
            rows += more
            notes += words
        except BenchError as error:
            rows.append(CheckRow(kind, "all of it", Verdict.MISSING, "", "", str(error)))
    code = exit_code(list(checks), rows, strict=files.strict)
    _write_all(rows, notes, code, files)
    return code


def _write_all(rows: "list[CheckRow]", notes: list[str], result: "ExitCode", files: _Files) -> None:
    import os

    from bench.check import output

    print(output.table(rows))
    for note in notes:
        print(note)
    print(f"bench check: {output.summary(rows, result)}")
    if os.environ.get("GITHUB_ACTIONS"):
        print("\n".join(output.annotations(rows)))
    output.write_step_summary(output.markdown(rows, notes, result))
    if files.json is not None:
        output.write_json(files.json, rows, notes, result)
    if files.junit is not None:
        output.write_junit(files.junit, rows)


def _exact(dataset: str | None, results: Path, data_dir: Path) -> Measured:
    from bench.check.baseline import read_baseline
    from bench.check.exact import compare_networks
    from bench.record.schema import ExactRow

    return compare_networks(_networks(dataset, data_dir), read_baseline(results, ExactRow)), []


def _update_exact(dataset: str | None, results: Path, data_dir: Path) -> int:
    from bench.check.baseline import write_baseline
    from bench.record.schema import ExactRow

    print(write_baseline(results, ExactRow, _networks(dataset, data_dir)))
    return 0


def _networks(dataset: str | None, data_dir: Path) -> "list[ExactRow]":
    """Of the study's networks what must not change, on its images: those that need no files where there are such, for
    the same answer on every machine."""
    from bench.check.exact import measure_networks
    from bench.sources.dataset import choose_dataset

    embedded = [name for name, one in catalogue().datasets.items() if not one.files(data_dir)]
    chosen, _ = choose_dataset(dataset or next(iter(embedded), None), data_dir)
    data = chosen.load(data_dir)
    return measure_networks(data.input_shape, data.classes)


def _quality(dataset: str | None, results: Path, data_dir: Path, workers: int) -> Measured:
    from bench.check.baseline import read_baseline
    from bench.check.quality import check_quality, planned_seeds
    from bench.record.schema import QualityRow

    baseline = read_baseline(results, QualityRow)
    rows, notes = [], []
    for name in _datasets(dataset, data_dir, {row.dataset for row in baseline}):
        plan, own = plans()[name](), [row for row in baseline if row.dataset == name]
        if planned := planned_seeds(plan, own):
            notes.append(f"{name}: {planned}")
        rows += check_quality(plan, own, data_dir, workers)
    return rows, notes


def _update_quality(dataset: str | None, results: Path, data_dir: Path, workers: int) -> int:
    """Replaces the rows of the data sets that are trained; the others stay."""
    from bench.check.baseline import read_baseline, write_baseline
    from bench.check.quality import planned_seeds, train_baseline
    from bench.record.schema import QualityRow

    baseline = read_baseline(results, QualityRow)
    for name in _datasets(dataset, data_dir, {row.dataset for row in baseline}):
        plan = plans()[name]()
        trained = train_baseline(plan, data_dir, workers)
        baseline = [*(row for row in baseline if row.dataset != name), *trained]
        print(f"{name}: {planned_seeds(plan, trained)}")
    print(write_baseline(results, QualityRow, baseline))
    return 0


def _datasets(dataset: str | None, data_dir: Path, in_baseline: set[str]) -> Iterator[str]:
    if dataset is not None:
        yield dataset
        return
    for name in plans():
        known = catalogue().datasets[name]
        if not known.files(data_dir) or (name in in_baseline and known.present(data_dir)):
            yield name


def _speed(against: str, timing: "Timing") -> Measured:
    from bench.check.speed import check_speed
    from bench.check.trees import checked_out, this_tree

    with checked_out(against) as base, _bar(2 * timing.pairs) as tick:
        rows = check_speed(base, this_tree(), timing, tick)
        if not rows:
            raise BenchError("no workload was timed: --only chooses none, or neither tree can run any")
        return rows, [f"Speed: this tree against {base.name}."]


def _time_itself(runs: int, timing: "Timing", files: _Files) -> int:
    from bench.check.same import false_alarms
    from bench.check.speed import check_speed
    from bench.check.trees import copied, this_tree

    if not 1 <= runs <= 10_000:
        raise UsageError(f"--aa is 1 to 10,000 runs, not {runs:,}")
    measured = []
    with _bar(2 * timing.pairs * runs) as tick:
        for _ in range(runs):
            with copied() as base:
                measured.append(check_speed(base, this_tree(), timing, tick))
    alarms = false_alarms(measured)
    _write_all([row for rows in measured for row in rows], [str(alarms)], alarms.exit_code, files)
    return alarms.exit_code


@contextmanager
def _bar(processes: int) -> Iterator[Callable[[], None]]:
    """Counts processes on a terminal. A confirmation adds more than were expected."""
    import sys

    from tqdm import tqdm

    with tqdm(total=processes, desc="timing", disable=not sys.stderr.isatty(), leave=False) as bar:

        def tick() -> None:
            bar.update()

        yield tick


def _rows(results: Path) -> Path:
    """A folder of rows to read and report on: the one with the most."""
    found = sorted(results.glob("*/trials.csv"), key=lambda path: path.stat().st_size)
    return found[-1].parent.resolve() if found else results.resolve()
