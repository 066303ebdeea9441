"""`bench check`: the gate for CI. Compares a tree with its baselines and with another tree."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.with_study import WithStudy
from bench.errors import UsageError, near_matches
from bench.plan.checks import plans

check = typer.Typer(
    invoke_without_command=True,
    cls=WithStudy,
    subcommand_metavar="[STUDY] [COMMAND] [ARGS]...",
    help="Compare this tree with its baselines and with another tree, for CI: the harness's own, or `bench check "
    "my_study.py`, the repository that a study of yours lies in.",
    epilog="Exit codes: 0 no regression; 1 something outside the program went wrong; 2 the command line makes no "
    "sense; 3 a regression that is believed; 4 not decided: something was not measured, or every row of a check is "
    "inconclusive, with --strict any row.",
)

Strict = Annotated[bool, typer.Option("--strict", help="One inconclusive row is enough for exit code 4.")]
Update = Annotated[
    bool,
    typer.Option("--update", help="Write what is measured as the new baseline, for review; nothing is compared."),
]
Json = Annotated[Path | None, typer.Option("--json", help="Write rows and raw samples there.", show_default=False)]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit XML file there.", show_default=False)]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", help="Write the table there, as a comment on a pull request.", show_default=False),
]
History = Annotated[
    Path | None,
    typer.Option(
        "--history",
        help="Add what was timed to this file, a line a check: `bench check history FILE` finds slow drifts in it.",
        show_default=False,
    ),
]
Against = Annotated[
    str, typer.Option("--against", help="The branch, tag or commit to time this tree against.", metavar="REF")
]
Tests = Annotated[
    Path | None,
    typer.Option(
        "--tests",
        help="Time your own pytest-benchmark tests in this folder or file, as this tree has them, with either tree's "
        "code.",
        show_default=False,
    ),
]
Pairs = Annotated[int, typer.Option("--pairs", help="How many pairs of processes are timed.")]
Tolerance = Annotated[float, typer.Option("--tolerance", help="The slowdown in percent that doesn't matter.")]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        help="Only these workloads, as pytest's -k: 'training', 'planning or report'.",
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


@check.callback()
def every(
    context: typer.Context,
    against: Against = "HEAD",
    strict: Strict = False,
    update: Update = False,
    same: Same = 0,
    json: Json = None,
    junit: Junit = None,
    markdown: Markdown = None,
    history: History = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
) -> int:
    """All three checks. By default this tree is timed against the last commit, which finds what isn't committed yet."""
    if context.invoked_subcommand is not None:
        if context.obj is not None:
            raise UsageError(f"the study comes after the check: bench check {context.invoked_subcommand} {context.obj}")
        return 0
    opt.use_study(context.obj)
    processes = opt.chosen_workers(workers)

    from bench.check import gate
    from bench.check.speed import Timing

    outputs = gate.Outputs(strict, json, junit, markdown)
    where = gate.Where(context.obj, None, results, data_dir)
    if same:
        return gate.time_itself(same, where, Timing(), outputs)
    if update:
        gate.update_exact(where, None)
        gate.update_quality(where, None, processes)
        return 0
    return gate.run_checks(gate.all_checks(where, against, processes, history), outputs)


@check.command()
def exact(
    study: opt.StudyName = None,
    strict: Strict = False,
    update: Update = False,
    json: Json = None,
    junit: Junit = None,
    markdown: Markdown = None,
    dataset: opt.DatasetName = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
) -> int:
    """Parameters, MACs, output shapes and receptive fields of every network, against results/baseline/exact.csv."""
    opt.use_study(study)

    from bench.check import gate
    from bench.check.verdict import Kind

    where = gate.Where(study, None, results, data_dir)
    if update:
        gate.update_exact(where, dataset)
        return 0
    checks = {Kind.EXACT: lambda: gate.check_exact(where, dataset)}
    return gate.run_checks(checks, gate.Outputs(strict, json, junit, markdown))


@check.command()
def quality(
    study: opt.StudyName = None,
    strict: Strict = False,
    update: Update = False,
    json: Json = None,
    junit: Junit = None,
    markdown: Markdown = None,
    dataset: QualityData = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
) -> int:
    """Accuracies and losses of the same seeds, against results/baseline/quality.csv.

    A study that doesn't say what to train has its presets trained for a few epochs.
    """
    opt.use_study(study)
    processes = opt.chosen_workers(workers)
    if dataset is not None and dataset not in plans():
        raise UsageError(f"no quality is checked on {dataset!r}: {near_matches(dataset, plans())}")

    from bench.check import gate
    from bench.check.verdict import Kind

    where = gate.Where(study, None, results, data_dir)
    if update:
        gate.update_quality(where, dataset, processes)
        return 0
    checks = {Kind.QUALITY: lambda: gate.check_quality(where, dataset, processes)}
    return gate.run_checks(checks, gate.Outputs(strict, json, junit, markdown))


@check.command()
def speed(
    study: opt.StudyName = None,
    against: Against = "HEAD",
    tests: Tests = None,
    strict: Strict = False,
    pairs: Pairs = 10,
    tolerance: Tolerance = 5.0,
    only: Only = None,
    same: Same = 0,
    json: Json = None,
    junit: Junit = None,
    markdown: Markdown = None,
    history: History = None,
    data_dir: opt.DataDir = Path("data"),
    results: opt.Results = Path("results"),
) -> int:
    """Time this tree against another in pairs of fresh processes, on this machine, now; and compare their memory."""
    if not 2 <= pairs <= 1000:
        raise UsageError(f"--pairs is 2 to 1,000 (one pair gives no interval), not {pairs:,}")
    if not 0 < tolerance < 1000:
        raise UsageError(f"--tolerance is a percentage above 0, not {tolerance:g}")
    if study is not None and tests is not None:
        raise UsageError("a study and --tests exclude each other: they are timed one after the other")
    opt.use_study(study)

    from bench.check import gate
    from bench.check.speed import Timing
    from bench.check.verdict import Kind

    outputs = gate.Outputs(strict, json, junit, markdown)
    where = gate.Where(study, tests, results, data_dir)
    timing = Timing(pairs, tolerance / 100, only)
    if same:
        return gate.time_itself(same, where, timing, outputs)
    return gate.run_checks({Kind.SPEED: gate.speed_check(where, against, timing, history)}, outputs)


@check.command()
def history(
    file: Annotated[Path, typer.Argument(help="What `--history` has added to.", metavar="FILE")],
    chart: Annotated[
        Path | None, typer.Option("--chart", help="Draw it there: .svg or .png.", show_default=False)
    ] = None,
    tolerance: Tolerance = 5.0,
) -> int:
    """What became slower over many commits, each of which passed: solved from all measured pairs."""
    from bench.check.drift import draw, drifts, report
    from bench.check.history import read_history

    if chart is not None and chart.suffix not in {".svg", ".png"}:
        raise UsageError(f"--chart is a file that ends in .svg or .png, not {chart}")
    found = drifts(read_history(file))
    code, text = report(found, tolerance / 100)
    print(text)
    if chart is not None:
        draw(found, chart)
        print(f"Chart: {chart}")
    return code
