"""Whether networks still learn as well: accuracies of the same seeds against the baseline's.

The same trial on the same machine gives the same bits, so an unchanged tree passes outright there. Another processor
rounds differently, and so does a harmless change of the code; then the difference is held against a margin, with
Student's one-sided bounds, on the first batch of seeds, and where that can't tell on that and a second one. There is no
third. A sure gain is said, and beyond the margin it fails: a leak looks like that.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.check.baseline import as_row
from bench.check.power import Planned, difference, judge, plan_seeds
from bench.check.verdict import UPDATE, CheckRow, Interval, Kind, Verdict
from bench.plan.catalogue import read_levels
from bench.plan.cells import Cell
from bench.plan.checks import Plan
from bench.plan.levels import Levels
from bench.record.schema import QualityRow
from bench.report.show.words import percent
from bench.run.pool import LocalPool
from bench.run.runner import Run, prepare_run, train_missing

# A gain is no reason to be glad unless the change is meant to bring it: one beyond the margin fails.
_BETTER = "surely better, as when test images are trained on; where it is meant, `bench check quality --update`"


class Trainer:
    """Trains trials of one plan, once each, and forgets their rows when its block ends. Nothing goes to trials.csv."""

    def __init__(self, plan: Plan, data_dir: Path, workers: int) -> None:
        self._plan = plan
        self._data_dir = data_dir
        self._workers = workers
        self._folder = tempfile.TemporaryDirectory(prefix="bench-check-")

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def train(self, batch: int, only: Sequence[Cell] | None = None) -> tuple[list[QualityRow], dict[str, str], int]:
        """The rows of a batch's finished trials, why others have none, by cell, and the number of test images."""
        wanted = [trial for trial in self._plan.trials(batch) if only is None or trial.cell in only]
        run = prepare_run(wanted, "check", self._data_dir, Path(self._folder.name))
        train_missing(run, run.missing(), lambda data, stacks: LocalPool(min(self._workers, stacks), data))
        return _rows(run), _unfinished(run), len(run.data.held_out)


def train_baseline(plan: Plan, data_dir: Path, workers: int) -> list[QualityRow]:
    """The rows of both batches."""
    with Trainer(plan, data_dir, workers) as trainer:
        return [row for batch in (0, 1) for row in trainer.train(batch)[0]]


def planned_seeds(plan: Plan, baseline: Sequence[QualityRow]) -> Planned | None:
    """The power of the plan at the spread of the baseline's most uncertain cell; None without a baseline."""
    by_cell = _by_cell(plan, baseline)
    variances = [np.var(list(values.values()), ddof=1) for values in by_cell.values() if len(values) > 1]
    return plan_seeds(plan.margin, float(np.sqrt(max(variances))), plan.seeds) if variances else None


def check_quality(plan: Plan, baseline: Sequence[QualityRow], data_dir: Path, workers: int) -> list[CheckRow]:
    """One row a cell of the plan, and one a cell of the baseline's rows that the plan doesn't have.

    `baseline` holds rows of the plan's data set. Raises BenchError where the data can't be read.
    """
    expected = _by_cell(plan, baseline)
    with Trainer(plan, data_dir, workers) as trainer:
        trained, unfinished, images = trainer.train(0)
        first = {cell: _compare(plan, cell, trained, expected, unfinished, images) for cell in plan.cells}
        unresolved = [cell for cell, row in first.items() if row.verdict is Verdict.INCONCLUSIVE]
        again = {}
        if unresolved:
            more, unfinished_more, _ = trainer.train(1, unresolved)
            both, reasons = [*trained, *more], unfinished | unfinished_more
            again = {cell: _compare(plan, cell, both, expected, reasons, images, batches=2) for cell in unresolved}
    return [*(first | again).values(), *_strangers(plan, baseline)]


def _compare(
    plan: Plan,
    cell: Cell,
    trained: Sequence[QualityRow],
    expected: Mapping[Cell, Mapping[int, float]],
    unfinished: Mapping[str, str],
    images: int,
    batches: int = 1,
) -> CheckRow:
    here, there = _by_cell(plan, trained)[cell], expected[cell]
    seeds = list(range(batches * plan.seeds))
    name = f"{plan.protocol.dataset} {cell.label}"

    def row(verdict: Verdict, message: str, interval: Interval | None = None) -> CheckRow:
        samples = {"baseline": [there[s] for s in seeds if s in there], "here": [here[s] for s in seeds if s in here]}
        before, now = (percent(float(np.mean(values))) if values else "" for values in samples.values())
        return CheckRow(Kind.QUALITY, name, verdict, before, now, message, interval, samples)

    if cell.label in unfinished:
        diverged = "diverged" in unfinished[cell.label]
        return row(Verdict.FAIL if diverged else Verdict.MISSING, unfinished[cell.label])
    if not there:
        return row(Verdict.NEW, f"not in the baseline under today's protocol: {UPDATE}")
    if lacking := [seed for seed in range(2 * plan.seeds) if seed not in there]:
        return row(Verdict.MISSING, f"the baseline lacks seeds {', '.join(map(str, lacking))}")
    if all(here[seed] == there[seed] for seed in seeds):
        return row(Verdict.PASS, f"all {len(seeds)} accuracies are the baseline's")
    interval = difference([here[s] for s in seeds], [there[s] for s in seeds], plan.margin, images)
    verdict = Verdict.FAIL if interval.low > plan.margin else judge(interval)
    change = f"{100 * interval.change:+.2f} points ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
    words = {
        Verdict.PASS: f"not worse by the margin of {100 * plan.margin:g}",
        Verdict.FAIL: f"worse by more than the margin of {100 * plan.margin:g}",
        Verdict.INCONCLUSIVE: f"unresolved at a margin of {100 * plan.margin:g}",
    }
    said = words[verdict] if interval.low <= 0 else _BETTER
    message = f"{change} over {len(seeds)} seeds: {said}; a loss of {100 * interval.detectable:.1f} would show"
    return row(verdict, message, interval)


def _rows(run: Run) -> list[QualityRow]:
    done = run.rows()
    done = done[done["status"] == "done"]
    return [as_row(QualityRow, record) for record in done.to_dict("records")]


def _unfinished(run: Run) -> dict[str, str]:
    """By the label of a cell, what became of a trial of it that isn't done."""
    rows, cells = run.rows(), {named.key: named.trial.cell for named in run.named}
    open_rows = rows[rows["status"] != "done"]
    return {
        cells[row["trial"]].label: f"seed {row['seed']} {row['status']}: {row['error'] or 'its loss is not finite'}"
        for row in open_rows.to_dict("records")
    }


def _by_cell(plan: Plan, rows: Sequence[QualityRow]) -> dict[Cell, dict[int, float]]:
    """Accuracies by cell and seed, of the rows under the plan's protocol."""
    found: dict[Cell, dict[int, float]] = {cell: {} for cell in plan.cells}
    for row in rows:
        cell = _cell(row)
        if cell in found and _same_protocol(plan, cell, row):
            found[cell][row.seed] = row.test_accuracy
    return found


def _strangers(plan: Plan, baseline: Sequence[QualityRow]) -> list[CheckRow]:
    """A row for each cell of the baseline that the plan doesn't train."""
    known = set(plan.cells)
    names = dict.fromkeys(_name(row) for row in baseline if _cell(row) not in known)
    message = "in the baseline, but nothing here is trained like that"
    return [CheckRow(Kind.QUALITY, name, Verdict.MISSING, "", "", message) for name in names]


def _same_protocol(plan: Plan, cell: Cell, row: QualityRow) -> bool:
    protocol = plan.protocol
    return (row.dataset, row.epochs, row.batch_size, row.optimizer, row.lr, row.precision) == (
        protocol.dataset,
        protocol.epochs,
        protocol.batch_size,
        protocol.optimizer,
        protocol.rate(cell),
        protocol.precision,
    )


def _cell(row: QualityRow) -> Cell:
    """The row's cell, whether or not its architecture and levels are still there."""
    try:
        return Cell(row.architecture, read_levels(row.levels))
    except ValueError:
        return Cell(row.architecture, Levels({name: level or "" for name, level in row.levels.items()}))


def _name(row: QualityRow) -> str:
    return " ".join([row.dataset, row.architecture, *(f"{name}={level}" for name, level in row.levels.items())])
