"""`bench run --until settled`: batches, looks, budgets, and going on after a kill."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cli import run_command_line
from bench.errors import InterruptedRunError, UsageError
from bench.plan.budget import Budget, read_budget
from bench.plan.catalogue import find_factors
from bench.plan.designs import toggles
from bench.plan.proposing import FIRST_SEEDS, LEAST_SEEDS, Static
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, planned
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.looked import read_seeds, written_seeds
from bench.report.report import Report
from bench.report.sections.cells import SECTION as ROOM_OF_CELLS
from bench.report.sections.effects.measured import effects
from bench.report.sections.measured import opening, protocol_facts
from bench.report.stats.sequential import Anytime
from bench.report.stats.verdict import Verdict
from bench.run.runner import Run, prepare_run, record
from bench.run.serial import Serial
from bench.run.worker import Trained
from bench.session import batches, settling
from bench.session.recorded import read_run
from bench.session.request import Place
from bench.session.settling import plan_until, train_until
from bench.session.training import exit_code, finish
from bench.session.until import UntilSettled, until_settled
from bench.train.data import Data
from bench.train.outcome import Epoch, Outcome

SHORT = Protocol("digits", epochs=1, lr=0.05)
CELLS = list(toggles(["model1"], find_factors(["batch_norm", "gap", "dropout"])))
EFFECTS = {"batch_norm": 0.02, "gap": 0.0, "dropout": 0.0005}
Train = Callable[[Sequence[Trial], Data], list[Trained]]


def accuracy(trial: Trial) -> float:
    """Batch norm helps, global pooling does nothing, dropout next to nothing."""
    changed = [name for name in EFFECTS if not trial.cell.is_preset and name in trial.cell.label]
    noise = np.random.default_rng([trial.seed, *trial.cell.label.encode()]).normal(0, 0.004)
    return float(np.clip(0.9 + sum(EFFECTS[name] for name in changed) + noise, 0, 1))


def made_up(trial: Trial, data: Data) -> Trained:
    epoch = Epoch(1, 0.5, 1.0, accuracy(trial), 1.0, trial.lr, 0.1)
    labels = tuple(data.held_out.labels.tolist())
    return Trained(trial, Outcome("done", (epoch,), labels, 1.0), None, "2026-01-01T00:00:00Z", None)


def train(stack: Sequence[Trial], data: Data) -> list[Trained]:
    return [made_up(trial, data) for trial in stack]


def prepared(folder: Path) -> tuple[Run, UntilSettled]:
    run = prepare_run(list(planned("toggles", CELLS, 1, SHORT)), "toggles", Path("unused"), folder)
    return run, until_settled(CELLS, SHORT, 0.005, most=200, batch=8, step=run.step)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Carries a run out with made-up trainings."""

    def carry_out(folder: Path, budget: Budget = Budget(), own: Train = train, **options: object) -> int:  # noqa: B008
        monkeypatch.setattr(batches, "executor_at", lambda _place, _device, data, _stacks: Serial(data, own))
        monkeypatch.setattr(settling, "expected_seconds", lambda trials, _: {trial.cell: 1.0 for trial in trials})
        run, design = prepared(folder)
        run = train_until(run, design, Place(1), budget, False, **options)  # type: ignore[arg-type]
        finish(run, None, design.margin)
        return exit_code(run)

    return carry_out


def trained(folder: Path) -> list[tuple[str, int]]:
    rows = Store(folder / "digits").trials()
    cells = [f"{row.batch_norm}{row.gap}{row.dropout}" for row in rows.itertuples()]
    return list(zip(cells, rows["seed"].tolist(), strict=True))


def test_it_trains_until_all_is_settled_and_says_so(
    tmp_path: Path, settled: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert settled(tmp_path) == 0
    said = capsys.readouterr()
    assert "3 contrasts of 4 cells: each cell gets 5 seeds first, 20 trials, about 20 s with 1 worker" in said.out
    [last] = [line for line in said.out.splitlines() if line.startswith("3 of 3 contrasts settled")]
    assert last == "3 of 3 contrasts settled (1 helps and 2 make no difference that matters)."
    assert "more should settle it" in said.out
    assert "0 of 3 contrasts settled, " in said.err
    assert len(set(trained(tmp_path))) == len(trained(tmp_path))
    by_cell = {cell: [s for c, s in trained(tmp_path) if c == cell] for cell, _ in trained(tmp_path)}
    assert all(sorted(seeds) == list(range(len(seeds))) for seeds in by_cell.values())  # cells stay paired
    assert min(map(len, by_cell.values())) >= LEAST_SEEDS
    assert len({*map(len, by_cell.values())}) > 1  # and get what they need
    capsys.readouterr()
    before = trained(tmp_path)
    assert settled(tmp_path) == 0  # nothing is left to do
    assert trained(tmp_path) == before


def test_a_kill_changes_nothing_of_what_follows(tmp_path: Path, settled: Callable[..., int]) -> None:
    assert settled(tmp_path / "whole") == 0
    for after in (3, 23):
        left = [after]

        def killed(stack: Sequence[Trial], data: Data, left: list[int] = left) -> list[Trained]:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return train(stack, data)

        folder = tmp_path / str(after)
        with pytest.raises(InterruptedRunError, match=r"interrupted with .* of 3 contrasts settled.*open: .*again"):
            settled(folder, own=killed)
        assert len(trained(folder)) == after
        assert settled(folder) == 0
        assert sorted(trained(folder)) == sorted(trained(tmp_path / "whole"))
        looks = [Store(at / "digits").looks()[["look", "cell", "lr", "seeds"]] for at in (folder, tmp_path / "whole")]
        assert looks[0].equals(looks[1])


def test_a_budget_of_trials_is_kept_and_what_is_open_is_said(
    tmp_path: Path, settled: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert settled(tmp_path, Budget(trials=31)) == 0
    assert len(trained(tmp_path)) == 31
    assert "The budget is spent: " in capsys.readouterr().out
    assert settled(tmp_path, Budget(trials=2)) == 0
    assert len(trained(tmp_path)) == 33
    assert settled(tmp_path, Budget(seconds=0.5)) == 0  # in which no trial of a second fits
    assert len(trained(tmp_path)) == 33


def test_a_plan_says_what_it_takes_and_why_and_trains_nothing(
    tmp_path: Path, settled: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    settled(tmp_path, Budget(trials=44))
    capsys.readouterr()
    plan_until(*prepared(tmp_path), Place(1))
    said = capsys.readouterr().out
    assert "4 cells have rows: " in said
    assert "If differences stay as they are, " in said
    assert re.search(r"Next \d trials: \d of .*; for .* \(about \d+ more should settle it\)", said)
    assert len(trained(tmp_path)) == 44


def test_trials_that_fail_have_rows_and_a_cell_that_never_trains_ends_it(
    tmp_path: Path, settled: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(stack: Sequence[Trial], data: Data) -> list[Trained]:
        [trial] = stack
        fails = "gap" in trial.cell.label
        return [Trained(trial, None, "it broke", "2026-01-01T00:00:00Z", None) if fails else made_up(trial, data)]

    assert settled(tmp_path, own=failing) == 1
    assert "2 of 3 contrasts settled" in capsys.readouterr().out
    failed = Store(tmp_path / "digits").trials()
    assert (failed["status"] == "failed").sum() == 2 * FIRST_SEEDS
    plan_until(*prepared(tmp_path), Place(1))
    assert "most trials diverge or fail" in capsys.readouterr().out


def test_a_report_says_which_looks_there_were_and_its_verdicts_are_the_runs(
    tmp_path: Path, settled: Callable[..., int]
) -> None:
    settled(tmp_path)
    evidence = gather(Store(tmp_path / "digits"), "digits")
    report = Report(evidence, 0.005)
    assert sorted(effect.verdict for effect in effects(report)) == [
        Verdict.EQUIVALENT,
        Verdict.EQUIVALENT,
        Verdict.HELPS,
    ]
    assert all(isinstance(effect.comparison.difference, Anytime) for effect in effects(report))
    assert f"with {len(evidence.looks)} looks: intervals and verdicts" in opening(report)
    facts = dict(protocol_facts(report))
    assert facts["Looks"].startswith("1 (20 trials, ")
    assert "anytime-valid t" in facts["Rule of the intervals"]
    assert not [one for one in ROOM_OF_CELLS.caveats(report) if "Incomplete" in one.text]  # none is short of seeds
    fixed = Report(replace(evidence, looks=()), 0.005)
    assert "look" not in opening(fixed)
    assert [one for one in ROOM_OF_CELLS.caveats(fixed) if "Incomplete" in one.text]
    assert {"Looks", "Rule of the intervals"}.isdisjoint(dict(protocol_facts(fixed)))
    for looked, alone in zip(effects(report), effects(fixed), strict=True):
        assert looked.comparison.difference.mean == alone.comparison.difference.mean
        assert looked.comparison.difference.half_width > alone.comparison.difference.half_width


def test_the_runs_file_has_each_cells_seeds(tmp_path: Path, settled: Callable[..., int]) -> None:
    settled(tmp_path)
    [file] = (tmp_path / "digits" / "runs").glob("*.json")
    again = read_run(file).trials()
    rows = Store(tmp_path / "digits").trials()
    assert len(again) == len(set(again)) == len(rows)
    assert all("seeds" in cell for cell in json.loads(file.read_text())["cells"])


def test_the_same_from_other_rows_whatever_their_order(tmp_path: Path) -> None:
    """A design is a function of rows, wherever they were made."""
    run, design = prepared(tmp_path)
    for trial in planned("toggles", CELLS, 12, SHORT):
        more = run.asking([trial])
        record(more, made_up(trial, run.data))
    known = run.asking(list(planned("toggles", CELLS, 12, SHORT)))
    results = known.results()
    backwards = dict(reversed(results.items()))
    assert design.propose(results) == design.propose(backwards) != []
    assert all(trial not in results for trial in design.propose(results))
    assert Static(known.trials).propose(results) == []
    assert list(Static(known.trials).propose({})) == list(known.trials)


def test_seeds_are_written_as_they_are_read() -> None:
    assert written_seeds({0, 1, 2, 7, 20, 21}) == "0-2 7 20-21"
    assert read_seeds("0-2 7 20-21") == {0, 1, 2, 7, 20, 21}


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("3h", Budget(10_800.0)),
        ("1h 30min", Budget(5_400.0)),
        ("90 min", Budget(5_400.0)),
        ("200trials", Budget(trials=200)),
        ("0.5h,20 trials", Budget(1_800.0, 20)),
    ],
)
def test_budgets_are_read(text: str, budget: Budget) -> None:
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["", "3", "0h", "1.5trials", "-3h", "soon", "3h4"])
def test_what_is_no_budget_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=r"as in 3h, 90min or 200trials"):
        read_budget(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "3h"], "--budget goes with --until settled"),
        (["--until", "tomorrow"], "--until takes settled"),
        (["--until", "settled", "--design", "factorial"], "goes with --design toggles"),
        (["--until", "settled", "--val", "100"], "leave --val out"),
        (["--until", "settled", "--seeds", "3"], "10 to 10,000, not '3'"),
        (["--until", "settled", "--seeds", "0-9,20"], "10 to 10,000, not '0-9,20'"),
        (["--until", "settled", "--budget", "soon"], "as in 3h, 90min or 200trials"),
    ],
)
def test_what_does_not_go_together_is_said(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["run", "--all", *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
