"""Trials whose targets are what teachers say, which learn first."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.plan import arguments
from bench.plan.catalogue import catalogue, find_architecture
from bench.plan.cells import Cell
from bench.plan.factors import level_of
from bench.plan.levels import format_level
from bench.plan.trials import Trial
from bench.train.called import called
from bench.train.data import Data
from bench.train.general import GeneralTraining
from bench.train.kept import Learned
from bench.train.recipe import Recipe, recipe_of
from bench.train.seeded import build_readable_network
from bench.train.start import First, StartError, learn, put
from bench.train.teacher import Teacher

# Far from the seeds that plans count to, so that no student begins as one of its teachers did.
FIRST_SEED = 1_000_000


def teachers_of(trial: Trial, data: Data, teacher: Teacher) -> list[First]:
    """What the teachers of a trial on `data` learn, as trainings of their own. Raises UsageError for levels that the
    trial's architecture doesn't have, and for teachers that would need something before them."""
    cell = _cell_of(trial.cell, teacher)
    protocol = replace(trial.protocol, readouts=())
    trials = [Trial(cell, FIRST_SEED + number, protocol) for number in range(teacher.networks)]
    recipe = replace(recipe_of(trials[0]), images_per_class=None)
    if recipe.start is not None or recipe.teacher is not None:
        raise UsageError(
            f"a teacher learns as an ordinary trial does, and {cell.label} begins with a phase or has a teacher"
        )
    return [First(one, data, recipe) for one in trials]


def learn_to_teach(first: First) -> Learned:
    """Trains a teacher. Raises StartError where it diverges."""
    try:
        return learn(first)
    except StartError:
        who = f"a teacher, {first.trial.cell.label}"
        raise StartError(f"{who}, diverges at a rate of {first.trial.lr:g}: give its cell a smaller one") from None


class TaughtTraining(GeneralTraining):
    """A trial under way whose targets its teachers give. Those that have not learned are as they are initialised, which
    takes as long a step."""

    def __init__(
        self,
        trial: Trial,
        data: Data,
        recipe: Recipe,
        device: torch.device,
        teachers: Sequence[First],
        learned: Sequence[Learned] = (),
    ) -> None:
        # Built first: what a student draws from the global generators must be its own.
        self._teachers = [build_readable_network(first.trial, data) for first in teachers]
        for network, one in zip(self._teachers, learned, strict=False):
            put(network, one.weights)
        for network in self._teachers:
            network.to(device).eval()
        super().__init__(trial, data, recipe, device)

    def _batch(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        images, _, labels = super()._batch(indices)
        return images, self._said_of(images), labels

    @torch.no_grad()
    def _said_of(self, images: Tensor) -> Tensor:
        """Float probabilities (N, classes), on the trial's device."""
        prepared = self.prepare(images)
        with self._cast:
            said = [called("a teacher", network, prepared) for network in self._teachers]
        return torch.stack([logits.float().softmax(1) for logits in said]).mean(0)


def _cell_of(cell: Cell, teacher: Teacher) -> Cell:
    """The teacher's cell: the trial's, without what gives it a teacher, and with the teacher's levels."""
    applying = {
        factor.name: factor for factor in catalogue().factors if find_architecture(cell.architecture).applies(factor)
    }
    for factor in applying.values():
        level = level_of(cell.levels, factor)
        if factor.change is not None and level != factor.off and factor.change(Recipe(), level).teacher is not None:
            cell = cell.with_level(factor, factor.off)
    for name, level in teacher.levels.items():
        factor = applying[arguments.one_of("Teacher: levels: a factor of this architecture", applying, name)]
        known = {format_level(one): one for one in factor.levels}
        said = format_level(level)
        meant = said if factor.is_open else known[arguments.one_of(f"Teacher: levels: {name}", known, said)]
        cell = cell.with_level(factor, meant)
    return cell
