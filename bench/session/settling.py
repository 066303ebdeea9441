"""Trains until it is settled: a batch, a look, the next batch, until nothing is open or the budget is spent."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from bench.errors import BenchError
from bench.plan.budget import Budget
from bench.plan.cells import Cell
from bench.plan.trials import Trial
from bench.report.looked import PROTOCOL
from bench.report.sections.effects.looks import answerable
from bench.run.runner import Run, expected_seconds
from bench.session.batches import train_batches, trials_a_look
from bench.session.looking import concluded, expectation, look_rows, looks_of, next_line, seeds_at, settled_count
from bench.session.recorded import record_run
from bench.session.reports import todays_evidence
from bench.session.request import Place
from bench.session.training import interruptible, time_networks
from bench.session.until import Standing, UntilSettled, until_settled


@dataclass
class Settling:
    """How far a run is: `run` has the trials that have rows, `standing` is the last look, which is not `recorded` yet
    where it was taken just now. `expected` are seconds a trial, `again` trials that failed and are tried once more."""

    run: Run
    standing: Standing
    expected: Mapping[Cell, float]
    again: set[Trial] = field(default_factory=set)
    recorded: bool = True

    @property
    def results(self) -> dict[Trial, float | None]:
        """What came of the trials so far."""
        return {trial: reached for trial, reached in self.run.results().items() if trial not in self.again}

    def batch(self) -> list[Trial]:
        """What the last look proposes and has no row, one of those that are the same but for their names."""
        results = self.results
        wanted = [trial for trial in self.standing.trials if trial not in results]
        keys = self.run.asking(wanted).by_trial
        return list({keys[trial].key: trial for trial in reversed(wanted)}.values())[::-1]

    def take(self, trials: Sequence[Trial]) -> None:
        """These trials are to have rows from now on, with those that are the same but for their names."""
        recorded = self.run.results()
        asked = self.run.asking(list(dict.fromkeys([*recorded, *self.standing.trials])))
        keys = {asked.by_trial[trial].key for trial in trials}
        kept = [named.trial for named in asked.named if named.trial in recorded or named.key in keys]
        self.run = _knowing(self.run, self.standing.design, kept)

    def cost(self, trial: Trial) -> float:
        """The seconds that a trial should take in one worker."""
        return self.expected[trial.cell]

    def trained(self, trials: Sequence[Trial], given: Mapping[str, Any]) -> None:
        """These trials have rows: looks at them."""
        self.again.difference_update(trials)
        self.look()
        self.record(given)

    def stands(self) -> str:
        """How far it is."""
        return settled_count(self.standing)

    def announced(self, batch: Sequence[Trial]) -> str:
        """What the next batch is, and why."""
        return next_line(self.standing, batch)

    def look(self) -> None:
        """Looks at all results."""
        self.standing = self.standing.design.look(self.results)
        self.recorded = self.standing.shows_nothing

    def record(self, given: Mapping[str, Any]) -> None:
        """Writes down the look, and which trials the run has by now."""
        if not self.recorded:
            self.run.store.add_looks(look_rows(self.run, self.standing))
            self.recorded = True
        record_run(self.run, given)


def resumed(run: Run, design: UntilSettled, retry_failed: bool = False) -> Settling:
    """Where a run stands before it trains: after the looks that were taken, and in the middle of the last one's batch
    if that isn't finished. `run` has a trial of every cell."""
    expected = expected_seconds(run.trials, run.data)
    seeds = [seed for seed in sorted(set(run.store.trials()["seed"])) if seed < design.most]
    known = (
        run.asking([Trial(cell, int(seed), under) for cell, under in design.arms for seed in seeds]) if seeds else run
    )
    found, results = known.results(), known.results(retry_failed)
    known = _knowing(run, design, list(found))
    design = replace(design, others=_others(known, design))
    standing, looks = design.look({}), looks_of(run)
    for look in looks:
        before = {trial: one for trial, one in results.items() if trial.seed in seeds_at(look, trial.arm)}
        standing = standing.design.look(before)
    state = Settling(known, standing, expected, found.keys() - results.keys())
    if results and not (looks and state.batch()):
        state.look()
    return state


def _knowing(run: Run, design: UntilSettled, trials: Sequence[Trial]) -> Run:
    """The run with these trials, after the first that there will be: a run is under the protocol of its first one."""
    cell, protocol = design.arms[0]
    return run.asking(list(dict.fromkeys([Trial(cell, 0, protocol), *trials])))


def _others(run: Run, design: UntilSettled) -> int:
    """How many contrasts a report on the run's rows has in its family beside those that are asked."""
    try:
        evidence = todays_evidence(run.store, run.data.name, prefer=run.own_keys)
    except BenchError:  # no rows, or none of today's
        return 0
    own = {name: getattr(run.protocol, name, run.provenance.data) for name in PROTOCOL}
    if any(evidence.protocol[name] != value for name, value in own.items()):
        return 0
    asked = {(one.treated, one.baseline, one.same_rate) for one in design.asked}
    return sum((one.treated, one.baseline, one.same_rate) not in asked for one in answerable(evidence))


def design_until(run: Run, cells: Sequence[Cell], place: Place, margin: float, most: int) -> UntilSettled:
    """The design on those of the cells that the run trains, with as many trials a look as suit the place. `margin` is a
    fraction, `most` the most seeds of a cell."""
    asked, protocol = [cell for cell in cells if cell not in run.left_out], run.protocol
    return until_settled(asked, protocol, margin, most, trials_a_look(place, protocol.device), run.step)


def plan_until(run: Run, design: UntilSettled, place: Place) -> None:
    """Says what it should take, and what would be trained first and why."""
    _print_expectation(resumed(run, design), place)


def train_until(
    run: Run,
    design: UntilSettled,
    place: Place,
    budget: Budget,
    timing: bool,
    retry_failed: bool = False,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Run:
    """Trains until every contrast is settled or the budget is spent, and times networks; the run with all trials that
    have rows. Raises InterruptedRunError on Ctrl-C and SIGTERM, which keep what is finished."""
    state = resumed(run, design, retry_failed)
    _print_expectation(state, place)
    with interruptible(lambda: concluded(state.standing)), run.store.lock():
        with ExitStack() as opened:
            if not state.recorded:
                state.record(given)
            spent = train_batches(state, place, budget, opened, given)
            print(f"{'The budget is spent: ' if spent else ''}{concluded(state.standing)}.", flush=True)
        if timing:
            time_networks(state.run)
    places = {arm: place for place, arm in enumerate(design.arms)}
    return run.asking(sorted(state.run.trials, key=lambda trial: (trial.seed, places[trial.arm])))


def _print_expectation(state: Settling, place: Place) -> None:
    print(expectation(state.standing, state.expected, max(place.workers, 1)))
    if batch := state.batch():
        print(next_line(state.standing, batch), flush=True)
