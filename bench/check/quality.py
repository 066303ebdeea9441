"""Whether networks still learn as well: accuracies and test losses of the same seeds against the baseline's.

The same trial on the same kind of machine gives the same bits, so an unchanged tree passes outright there. Another
processor rounds differently, and so does a harmless change of the code; then differences, paired by seed, are held
against margins both ways, on the first batch of seeds, and where that can't tell on that and a second one. There is no
third. A network that ended no better than guessing fails by itself.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.check.baseline import as_row
from bench.check.paired import Margins, Seeds, absent_row, compare_cell, compare_mean, new_row
from bench.check.places import place_of_architecture
from bench.check.power import Planned, plan_seeds
from bench.check.verdict import CheckRow, Verdict
from bench.plan.catalogue import read_levels
from bench.plan.cells import Cell
from bench.plan.checks import Plan
from bench.plan.levels import Levels
from bench.record.machine import this_machine
from bench.record.schema import QualityRow
from bench.run.pool import LocalPool
from bench.run.runner import Run, prepare_run, train_missing
from bench.train.device import cpu_vectors


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

    def train(self, batch: int, only: Sequence[Cell] | None = None) -> tuple[list[QualityRow], dict[str, str], Margins]:
        """The rows of a batch's finished trials, why others have none, by cell, and what may change on these data."""
        wanted = [trial for trial in self._plan.trials(batch) if only is None or trial.cell in only]
        run = prepare_run(wanted, "check", self._data_dir, Path(self._folder.name))
        train_missing(run, run.missing(), lambda data, stacks: LocalPool(min(self._workers, stacks), data))
        labels = run.data.held_out.labels
        chance = labels.bincount().max().item() / len(labels)
        margins = Margins(self._plan.margin, self._plan.loss_margin, len(labels), chance)
        return _rows(run), _unfinished(run), margins


def train_baseline(plan: Plan, data_dir: Path, workers: int) -> list[QualityRow]:
    """The rows of both batches."""
    with Trainer(plan, data_dir, workers) as trainer:
        return [row for batch in (0, 1) for row in trainer.train(batch)[0]]


def planned_seeds(plan: Plan, baseline: Sequence[QualityRow]) -> Planned | None:
    """The power of the plan at the spread of the baseline's most uncertain cell; None without a baseline."""
    by_cell = _by_cell(plan, baseline)
    accuracies = [[row.test_accuracy for row in rows.values()] for rows in by_cell.values()]
    variances = [np.var(values, ddof=1) for values in accuracies if len(values) > 1]
    return plan_seeds(plan.margin, float(np.sqrt(max(variances))), plan.seeds) if variances else None


def check_plan(plan: Plan, baseline: Sequence[QualityRow], data_dir: Path, workers: int) -> list[CheckRow]:
    """One row a cell of the plan, one for the mean of all of them, and one a cell of the baseline's rows that the plan
    doesn't have.

    `baseline` holds rows of the plan's data set. Raises BenchError where the data can't be read.
    """
    expected = _by_cell(plan, baseline)
    with Trainer(plan, data_dir, workers) as trainer:
        trained, unfinished, margins = trainer.train(0)
        first = _compare(plan, trained, expected, unfinished, margins, range(plan.seeds))
        unresolved = [cell for cell, row in first.items() if row.verdict is Verdict.INCONCLUSIVE]
        if not unresolved:
            return [*first.values(), *_strangers(plan, baseline)]
        # The mean of all cells needs all of them, which alone doesn't judge a cell anew that was decided.
        again = list(plan.cells) if None in unresolved else [cell for cell in unresolved if cell is not None]
        more, unfinished_more, _ = trainer.train(1, again)
        both = _compare(
            plan, [*trained, *more], expected, unfinished | unfinished_more, margins, range(2 * plan.seeds), again
        )
    judged = {cell: both.get(cell, row) if cell in unresolved else row for cell, row in first.items()}
    return [*judged.values(), *_strangers(plan, baseline)]


def _compare(
    plan: Plan,
    trained: Sequence[QualityRow],
    expected: Mapping[Cell, Seeds],
    unfinished: Mapping[str, str],
    margins: Margins,
    seeds: Sequence[int],
    cells: Sequence[Cell] | None = None,
) -> dict[Cell | None, CheckRow]:
    """A row for each of the cells and, under None, one for the mean of all of the plan's that both sides have."""
    here, dataset = _by_cell(plan, trained), plan.protocol.dataset
    rows: dict[Cell | None, CheckRow] = {}
    whole = []
    for cell in plan.cells if cells is None else cells:
        name, place = f"{dataset} {cell.label}", place_of_architecture(cell.architecture)
        lacking = [seed for seed in range(2 * plan.seeds) if seed not in expected[cell]]
        if cell.label in unfinished:
            verdict = Verdict.FAIL if "diverged" in unfinished[cell.label] else Verdict.MISSING
            rows[cell] = absent_row(name, verdict, unfinished[cell.label], place)
        elif not expected[cell]:
            rows[cell] = new_row(name, place)
        elif lacking:
            said = f"the baseline lacks seeds {', '.join(map(str, lacking))}"
            rows[cell] = absent_row(name, Verdict.MISSING, said, place)
        else:
            rows[cell] = compare_cell(name, here[cell], expected[cell], seeds, margins, place)
            whole.append((here[cell], expected[cell]))
    if len(whole) == len(plan.cells) > 1:
        rows[None] = compare_mean(f"{dataset} mean of all cells", whole, seeds, margins)
    return rows


def _rows(run: Run) -> list[QualityRow]:
    done = run.rows()
    done = done[done["status"] == "done"]
    here = {"vectors": cpu_vectors(), "torch": this_machine().torch}
    return [as_row(QualityRow, {**record, **here}) for record in done.to_dict("records")]


def _unfinished(run: Run) -> dict[str, str]:
    """By the label of a cell, what became of a trial of it that isn't done."""
    rows, cells = run.rows(), {named.key: named.trial.cell for named in run.named}
    open_rows = rows[rows["status"] != "done"]
    return {
        cells[row["trial"]].label: f"seed {row['seed']} {row['status']}: {row['error'] or 'its loss is not finite'}"
        for row in open_rows.to_dict("records")
    }


def _by_cell(plan: Plan, rows: Sequence[QualityRow]) -> dict[Cell, dict[int, QualityRow]]:
    """By cell and seed, the rows under the plan's protocol."""
    found: dict[Cell, dict[int, QualityRow]] = {cell: {} for cell in plan.cells}
    for row in rows:
        cell = _cell(row)
        if cell in found and _same_protocol(plan, cell, row):
            found[cell][row.seed] = row
    return found


def _strangers(plan: Plan, baseline: Sequence[QualityRow]) -> list[CheckRow]:
    """A row for each cell of the baseline that the plan doesn't train."""
    known = set(plan.cells)
    names = dict.fromkeys(_name(row) for row in baseline if _cell(row) not in known)
    message = "in the baseline, but nothing here is trained like that"
    return [absent_row(name, Verdict.MISSING, message) for name in names]


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
