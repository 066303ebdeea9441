"""The contract test: what a study promises by being one, asked of each of its cells on a few images."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bench.errors import BenchError, UsageError
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell, preset_cell
from bench.plan.keys import training_digest
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.run.phases import check_beginning, with_others
from bench.run.runner import images_counted
from bench.run.worker import reason_of, use_one_thread
from bench.sources.dataset import find_dataset
from bench.train.data import Data
from bench.train.fit import begin, check_batches
from bench.train.identity import training_parts
from bench.train.network_identity import network_part
from bench.train.readouts import ask_own
from bench.train.recipe import recipe_of
from bench.trying.checks import Check, by_message
from bench.trying.factors import Tried, idle_levels
from bench.trying.images import FEW, check_data, few_images
from bench.trying.network import problems_of
from bench.trying.steps import Fresh, Left, briefly, in_fresh_process, two_steps
from bench.trying.turns import in_turns

# The share of the time that what happens in this process may take; the rest is for the fresh one.
SHARE = 0.6

# How many images show whether a level acts that doesn't on a few.
MORE = 256

# How many cells a fresh process trains as well.
MOST_THERE = 12

Found = dict[str, list[tuple[Cell, str]]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the whole plan takes: seconds of one worker, and the bytes of each at its peak, None where it can't be
    told."""

    seconds: float
    bytes_per_worker: int | None


@dataclass(frozen=True, slots=True)
class Tries:
    """What to try: cells, as a design gives them, the protocol they share, and how many trials the whole plan has."""

    cells: Sequence[Cell]
    protocol: Protocol
    trials: int


class Contract:
    """A study under test; `checks` yields each check as soon as it is answered, and `estimate` is there afterwards
    where all of them hold. Where the time is over, cells are left out, which the checks say."""

    def __init__(self, tries: Tries, data_dir: Path, seconds: float) -> None:
        self.estimate: Estimate | None = None
        self._protocol = replace(tries.protocol, device="cpu")
        self._tries = tries
        self._data_dir = data_dir
        self._seconds = seconds
        self._found: Found = {}
        self._notes: Found = {}
        self._tried: dict[Cell, Tried] = {}
        self._repeated: set[object] = set()
        self._read: set[object] = set()
        self._absent: Mapping[str, BenchError] = {}

    def checks(self, each: Callable[[Sequence[Cell]], Iterator[Cell]] = iter) -> Iterator[Check]:
        """The checks; `each` may show how far the cells that it hands on have come. Raises BenchError where there are
        no images to try anything on."""
        start = time.monotonic()
        use_one_thread()
        trials = [Trial(cell, 0, self._protocol) for cell in self._tries.cells]
        alone = find_dataset(self._protocol.dataset).load(self._data_dir)
        data, self._absent = with_others(alone, filter(_has_recipe, trials), self._data_dir)
        yield (first := check_data(data))
        few = few_images(data, min(FEW, self._protocol.batch_size))
        cells = in_turns(self._tries.cells)
        asked: dict[object, bool] = {}
        left = 0
        for number, cell in enumerate(each(cells)):
            if number == 1:
                start = time.monotonic()  # kernels are compiled for the first, once on a machine
            if number and time.monotonic() - start > SHARE * self._seconds:
                left = len(cells) - number
                break
            self._try(cell, data, few, asked)
        yield from self._answers(len(cells) - left, len(asked), few, data)
        if torch.cuda.is_available():
            yield self._on_gpu(few)
        rest = max(self._seconds - (time.monotonic() - start), self._seconds / 10)
        yield self._travels(few, data, rest, bool(first.wrong))
        if left:
            yield Check(
                "time",
                f"{left} of {len(cells)} cells not tried in {self._seconds:g} s: --seconds {_enough(self._seconds)} "
                "tries more",
                skipped=True,
            )

    def _try(self, cell: Cell, data: Data, few: Data, asked: dict[object, bool]) -> None:
        """Asks everything of one cell, what is the network's own only of the first cell that has it."""
        if cell.network not in asked:
            problems = list(problems_of(cell, few))
            for name, problem in problems:
                self._found.setdefault(name, []).append((cell, problem))
            asked[cell.network] = not any(name == "networks" for name, _ in problems)
        if not asked[cell.network]:
            return
        try:
            whole = Trial(cell, 0, self._protocol)
            check_batches(whole, data)
            check_beginning(whole, data, self._absent)
            trial = briefly(whole, few)
            left = two_steps(trial, few)
            network = network_part(cell, data.input_shape, data.classes)
            recipe = training_digest(training_parts(whole, data=data))
        except Exception as error:
            self._found.setdefault("two steps", []).append((cell, _one_line(error)))
            return
        if catalogue().readouts and cell.network not in self._read:
            self._read.add(cell.network)
            self._read_out(cell, trial, few)
        self._tried[cell] = Tried(left, network, recipe)
        if not left.is_finite:
            self._notes.setdefault("two steps", []).append(
                (cell, f"{cell.label}: the loss is no number after two steps at a rate of {trial.lr:g}: try less")
            )
        if len({cell.network, recipe} - self._repeated):
            self._repeated |= {cell.network, recipe}
            self._repeat(cell, trial, few, left)

    def _read_out(self, cell: Cell, trial: Trial, few: Data) -> None:
        try:
            ask_own(begin([trial], few), catalogue().readouts)
        except UsageError as error:
            self._found.setdefault("readouts", []).append((cell, str(error)))

    def _repeat(self, cell: Cell, trial: Trial, few: Data, left: Left) -> None:
        if two_steps(trial, few).bits != left.bits:
            self._found.setdefault("same seed", []).append(
                (cell, f"{cell.label} trains otherwise each time with the same seed: {_DRAW}")
            )
        if two_steps(replace(trial, seed=1), few).bits == left.bits:
            self._found.setdefault("another seed", []).append((cell, f"{cell.label} trains alike with another seed"))

    def _answers(self, cells: int, networks: int, few: Data, data: Data) -> Iterator[Check]:
        more = few_images(data, MORE)
        idle, late = idle_levels(
            self._tried,
            lambda cell: two_steps(briefly(Trial(cell, 0, self._protocol), more), more),
            lambda cell: two_steps(briefly(Trial(cell, 0, self._protocol), few), few, generally=True),
        )
        self._found["factors"] = idle
        self._notes["factors"] = late
        factors = {factor.name for cell in self._tried for factor in cell.differences(preset_cell(cell.architecture))}
        said = {
            "networks": f"{_count(networks, 'network')}, {data.classes} logits an image",
            "gradients": "reach every parameter",
            "two steps": f"{_count(cells, 'cell')} on {min(FEW, self._protocol.batch_size)} images",
            "same seed": "the same losses and weights, bit by bit",
            "another seed": "other weights",
            "evaluation": "the same each time, and for an image alone",
            "factors": f"every level of {_count(len(factors), 'factor')} changes something"
            if factors
            else "none varies",
        }
        if own := catalogue().readouts:
            said["readouts"] = f"{_count(len(own), 'readout')} of its own, probabilities of {data.classes} classes"
        broken = bool(self._found.get("networks")) and not self._tried
        for name, holds in said.items():
            wrong = by_message(self._found.get(name, []))
            notes = by_message(self._notes.get(name, []))
            if broken and not wrong:
                yield Check(name, "there is no network to ask", skipped=True)
            else:
                yield Check(name, f"{len(wrong)} wrong" if wrong else holds, wrong, notes)

    def _on_gpu(self, few: Data) -> Check:
        """Two steps of every cell that was tried, on the GPU."""
        problems = []
        for cell in self._tried:
            trial = briefly(Trial(cell, 0, replace(self._tries.protocol, device="cuda")), few)
            try:
                two_steps(trial, few)
            except Exception as error:
                problems.append((cell, _one_line(error)))
        wrong = by_message(problems)
        return Check("GPU", f"{len(wrong)} wrong" if wrong else f"{_count(len(self._tried), 'cell')}", wrong)

    def _travels(self, few: Data, data: Data, seconds: float, wrong: bool) -> Check:
        """Whether a fresh process, as workers are, trains the same; what it took there is the estimate."""
        if wrong or any(self._found.values()):
            return Check("workers", "not asked while something else is wrong", skipped=True)
        there = list(self._tried)[:MOST_THERE]
        trials = [briefly(Trial(cell, 0, self._protocol), few) for cell in there]
        whole = [Trial(cell, 0, self._protocol) for cell in self._tried]
        try:
            fresh = in_fresh_process(trials, few, whole, data, seconds / 2)
        except BenchError as error:
            return Check("workers", "1 wrong", [str(error)])
        problems = [
            (cell, f"{cell.label} trains otherwise in another process: {_DRAW}")
            for cell, left in zip(there, fresh.left, strict=True)
            if left.bits != self._tried[cell].left.bits
        ]
        self.estimate = self._estimated(fresh, data)
        said = "a fresh process gets the study and trains the same"
        return Check("workers", said if not problems else f"{len(problems)} wrong", by_message(problems))

    def _estimated(self, fresh: Fresh, data: Data) -> Estimate:
        """From steps that were timed where there was time for it, else from the few images."""
        costs = [
            fresh.costs.get(cell.step, tried.left.seconds / min(FEW, self._protocol.batch_size))
            for cell, tried in self._tried.items()
        ]
        images = images_counted(self._protocol, len(data.train), data)
        return Estimate(sum(costs) / len(costs) * images * self._tries.trials, fresh.peak)


_DRAW = (
    "draw what is random from torch's, numpy's or Python's global generator, which a trial's seed sets, or from the "
    "generator that a change of the batch is given"
)


def _has_recipe(trial: Trial) -> bool:
    """Whether the study's changes give one; that they don't is found where the cell is tried."""
    try:
        recipe_of(trial)
    except BenchError:
        return False
    return True


def _one_line(error: Exception) -> str:
    return str(error) if isinstance(error, UsageError) else reason_of(error)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _enough(seconds: float) -> int:
    return math.ceil(4 * seconds / 10) * 10
