"""Carries out a search of architectures: trains what it asks for within a budget, and its winner on fresh seeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tabulate import tabulate

from bench.errors import UsageError
from bench.plan.budget import Budget
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.halving import SEARCH_SEED, SEARCHED, Arm, Halving, design_name, side_by_side
from bench.plan.protocol import Protocol
from bench.plan.search import Search
from bench.plan.trials import Trial
from bench.report.show.words import percent, plural
from bench.run.progress import format_duration
from bench.run.rows import name_trials
from bench.run.runner import Run, expected_seconds, prepare_run
from bench.run.worker import use_one_thread
from bench.session.batches import train_batches, trials_a_look
from bench.session.recorded import record_run
from bench.session.request import Place
from bench.session.training import carry_out, exit_code, interruptible
from bench.train.data import Data
from bench.train.network import NetworkError, plain_network
from bench.train.network_identity import network_part
from bench.train.summary import count_parameters


class _Recorded(Mapping[Trial, float | None]):
    """What came of any trial that has a row, of whatever trial is asked."""

    def __init__(self, run: Run, keys: dict[Trial, str]) -> None:
        self._run, self._keys, self._outcomes = run, keys, run.outcomes()

    def __getitem__(self, trial: Trial) -> float | None:
        if trial not in self._keys:
            [named] = name_trials([trial], self._run.data, self._run.provenance.data)
            self._keys[trial] = named.key
        return self._outcomes[self._keys[trial]]

    def __iter__(self) -> Iterator[Trial]:
        return iter(trial for trial, key in self._keys.items() if key in self._outcomes)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Searching:
    """How far a search is: its arms after the last look, and the trials that they have asked for in `run`. At most
    `most` are trained at a time. `seconds` are what an epoch takes, `keys` those of trials that were asked about."""

    run: Run
    design: Halving
    most: int
    arms: tuple[Arm, Arm] = field(init=False)
    seconds: dict[Cell, float] = field(default_factory=dict)
    keys: dict[Trial, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Asks both arms anew."""
        self.arms = self.design.look(_Recorded(self.run, self.keys))
        designs = {
            trial: design_name(arm.name, self.design.limit) for arm in reversed(self.arms) for trial in arm.asked
        }
        self.run = replace(self.run.asking(list(dict.fromkeys([*self.arms[0].asked, *designs]))), designs=designs)

    def waiting(self) -> list[Trial]:
        """What the arms have asked for and has no row, each key once."""
        results = self.run.results()
        wanted = [trial for trial in side_by_side(self.arms) if trial not in results]
        return list({self.run.by_trial[trial].key: trial for trial in reversed(wanted)}.values())[::-1]

    def batch(self) -> list[Trial]:
        """The next trials."""
        batch = self.waiting()[: self.most]
        if untimed := [trial for trial in batch if trial.cell not in self.seconds]:
            epochs = {trial.cell: trial.protocol.epochs for trial in reversed(untimed)}
            for cell, seconds in expected_seconds(_one_a_cell(untimed), self.run.data).items():
                self.seconds[cell] = seconds / epochs[cell]
        return batch

    def cost(self, trial: Trial) -> float:
        """The seconds that a trial should take in one worker."""
        return self.seconds[trial.cell] * trial.protocol.epochs

    def take(self, trials: Sequence[Trial]) -> None:
        """These are trained now: the run has them."""

    def trained(self, _trials: Sequence[Trial], given: Mapping[str, Any]) -> None:
        """These have rows: where nothing else is waited for, it is time to look."""
        if not self.waiting():
            self.look()
            record_run(self.run, given)

    def stands(self) -> str:
        """The best of the search so far."""
        found = self.arms[0].best(self.run.results())
        return "" if found is None else f"best {percent(found[1])} on held-out images"

    def announced(self, batch: Sequence[Trial]) -> str:
        """What the next batch is."""
        counts: dict[int, int] = {}
        for trial in batch:
            counts[trial.protocol.epochs] = counts.get(trial.protocol.epochs, 0) + 1
        parts = ", ".join(f"{count} for {plural(epochs, 'epoch')}" for epochs, count in sorted(counts.items()))
        return f"{self.stands() or 'No network has all epochs yet'}. Next {plural(len(batch), 'trial')}: {parts}."


def prepare_search(search: Search, protocol: Protocol, limit: int | None, data_dir: Path, results: Path) -> Run:
    """The run of a search, which has asked for nothing yet. Raises BenchError."""
    first = Trial(preset_cell(search.name), SEARCH_SEED, protocol)
    return prepare_run([first], design_name(SEARCHED, limit), data_dir, results)


def halving(search: Search, run: Run, limit: int | None) -> Halving:
    """The design of a search on the run's data."""
    use_one_thread()  # networks as small as these are built and counted no faster with more
    return Halving(search, run.protocol, limit, _size_on(run.data, limit))


def _size_on(data: Data, limit: int | None) -> Callable[[Cell], int | None]:
    def size(cell: Cell) -> int | None:
        try:
            parameters = count_parameters(plain_network(cell, data.input_shape, data.classes))
            if limit is None or parameters <= limit:
                network_part(cell, data.input_shape, data.classes)
        except NetworkError:
            return None
        return parameters

    return size


def plan_search(run: Run, design: Halving, place: Place) -> None:
    """Says where the search stands and what it would train next."""
    state = Searching(run, design, trials_a_look(place, run.protocol.device))
    _print_arms(state)
    waiting = state.waiting()
    print(state.announced(waiting) if waiting else "Everything that can be suggested has been.")
    if waiting:
        batch = state.batch()
        each = sum(map(state.cost, batch)) / sum(trial.protocol.epochs for trial in batch)
        total = each * sum(trial.protocol.epochs for trial in waiting) / min(max(place.workers, 1), len(waiting))
        print(f"About {format_duration(total)} of training, from a few timed steps; what they show decides the rest.")


def carry_out_search(
    run: Run, design: Halving, place: Place, budget: Budget, given: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """Trains until the budget is spent or nothing is left to suggest, and says what is best; the exit code. Raises
    InterruptedRunError on Ctrl-C and SIGTERM, which keep what is finished."""
    state = Searching(run, design, trials_a_look(place, run.protocol.device))
    with (
        interruptible(lambda: state.stands() or "no network trained for all epochs yet"),
        run.store.lock(),
        ExitStack() as opened,
    ):
        spent = train_batches(state, place, budget, opened, given)
    print("The budget is spent." if spent else "Everything that can be suggested has been.")
    _print_arms(state)
    if state.arms[0].best(state.run.results()) is not None:
        print(
            "Neither winner has met the test set. To train both on fresh seeds and measure them there, once, end the "
            f"search with:\n  {_command(given)} --confirm 20"
        )
    print(f"Rows: {run.store.trials_path}")
    return exit_code(state.run)


def confirm(
    run: Run,
    design: Halving,
    place: Place,
    seeds: int,
    data_dir: Path,
    results: Path,
    reports: Path | None,
    margin: float,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Trains the winners of the search and of random search with fresh seeds on all training images and measures them
    on the test set; the exit code. Raises UsageError where there is no winner."""
    state = Searching(run, design, 1)
    found = {arm.name: arm.best(state.run.results()) for arm in state.arms}
    winners = {arm: design.fresh(best[0].cell, seeds) for arm, best in found.items() if best is not None}
    if SEARCHED not in winners:
        raise UsageError("no network has been trained for all epochs yet: search first, as with --budget 1h")
    _print_arms(state)
    wanted = [trial for together in zip(*winners.values(), strict=True) for trial in together]
    fresh = prepare_run(list(dict.fromkeys(wanted)), design_name(SEARCHED, design.limit), data_dir, results)
    designs = {trial: design_name(arm, design.limit) for arm in reversed(winners) for trial in winners[arm]}
    return carry_out(replace(fresh, designs=designs), place, False, False, reports, given, margin)


def _print_arms(state: Searching) -> None:
    results, rows = state.run.results(), []
    for arm in state.arms:
        trained = [trial for trial in arm.asked if trial in results]
        best = arm.best(results)
        rows.append(
            (
                "search" if arm.name == SEARCHED else "random search",
                len(trained),
                sum(trial.protocol.epochs for trial in trained),
                best[0].cell.label if best else "none yet",
                f"{state.design.size_of(best[0].cell):,}" if best else "",
                percent(best[1]) if best else "",
            )
        )
    print(tabulate(rows, headers=("", "trials", "epochs", "best so far", "parameters", "held-out accuracy")))


_REPEATED = ("parameters", "epochs", "batch_size", "lr", "optimizer", "precision", "val", "dataset", "data_dir")


def _command(given: Mapping[str, Any]) -> str:
    words: list[str] = []
    for name in (*_REPEATED, "results"):
        if name in given and str(given[name]) not in (_DEFAULTS.get(name), ""):
            words += [f"--{name.replace('_', '-')}", str(given[name])]
    return catalogue().command("search", *words)


_DEFAULTS = {"data_dir": "data", "results": "results"}


def _one_a_cell(trials: Sequence[Trial]) -> list[Trial]:
    return list({trial.cell: trial for trial in reversed(trials)}.values())
