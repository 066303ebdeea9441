"""What one training is made of besides its network, and how the levels of training factors change it.

Factor("label_smoothing", levels=(0.0, 0.1), off=0.0, change=lambda recipe, level: recipe.with_loss(
    partial(F.cross_entropy, label_smoothing=level)))
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from bench.errors import UsageError
from bench.plan import arguments
from bench.plan.catalogue import catalogue
from bench.plan.factors import level_of
from bench.plan.levels import format_level
from bench.plan.trials import Trial
from bench.train.called import called, place_of, place_of_caller
from bench.train.phase import Phase
from bench.train.teacher import Teacher

# Float logits (N, classes), and targets: int64 labels (N,), or what a change of the batch made of them. The mean loss.
Loss = Callable[[Tensor, Tensor], Tensor]

# The parameters that learn, and the trial's rate.
MakeOptimizer = Callable[[Sequence[Parameter], float], Optimizer]

# The optimiser, the trial's rate, and the number of moves that the schedule will make in all: steps, or epochs.
MakeSchedule = Callable[[Optimizer, float, int], LRScheduler]
Every = Literal["step", "epoch"]

# Distorted float images (N, C, H, W) in [0, 1], their int64 labels (N,) or the targets that an earlier change made,
# and a generator, all on the CPU, whatever trains. Images of the same shape, and labels or float targets (N, classes).
ChangeBatch = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]

# The network in training mode, and the number of the step, from 1. What it returns doesn't matter.
AroundStep = Callable[[nn.Module, int], object]

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Loss, optimiser, schedule, changes of the batch, and what happens around a step.

    None for the optimiser and the schedule means those of the protocol and of the factor `scheduler`. `batch`,
    `before_step` and `after_step` hold any number of callables, called in their order: before a step the gradients are
    there (to be clipped), after it the weights have moved (and may be clipped), without gradients being recorded.
    `start` is a phase of training that comes before, `teacher` says targets in the place of labels. `images_per_class`
    is how many training images a class has, all where it is None. `places` says where loss, optimiser and schedule were
    given, for messages.
    """

    loss: Loss = F.cross_entropy
    optimizer: MakeOptimizer | None = None
    schedule: MakeSchedule | None = None
    every: Every = "step"
    batch: tuple[ChangeBatch, ...] = ()
    before_step: tuple[AroundStep, ...] = ()
    after_step: tuple[AroundStep, ...] = ()
    start: Phase | None = None
    teacher: Teacher | None = None
    images_per_class: int | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_default(self) -> bool:
        """Whether everything is as without any change."""
        return self == Recipe()

    @property
    def trains_as_usual(self) -> bool:
        """Whether it is as without any change but for the images that there are."""
        return replace(self, images_per_class=None).is_default

    def with_loss(self, loss: Loss) -> "Recipe":
        """Trains on `loss(logits, targets)`, a scalar."""
        places = {**self.places, "loss": place_of_caller()}
        return replace(self, loss=_callable("loss", loss), places=places)

    def with_optimizer(self, optimizer: MakeOptimizer) -> "Recipe":
        """Trains with the optimiser that `optimizer(parameters, rate)` makes."""
        places = {**self.places, "optimizer": place_of_caller()}
        return replace(self, optimizer=_callable("optimizer", optimizer), places=places)

    def with_schedule(self, schedule: MakeSchedule, *, every: Every = "step") -> "Recipe":
        """Moves the rate as `schedule(optimizer, rate, moves)` says, after every step or after every epoch."""
        if every not in ("step", "epoch"):
            raise UsageError(f"a schedule moves every 'step' or every 'epoch', not every {every!r}")
        places = {**self.places, "schedule": place_of_caller()}
        return replace(self, schedule=_callable("schedule", schedule), every=every, places=places)

    def with_batch(self, change: ChangeBatch) -> "Recipe":
        """Changes batches by `change(images, targets, generator)` as well, after the changes there are."""
        return replace(self, batch=(*self.batch, _callable("batch", change)))

    def with_start(self, phase: Phase) -> "Recipe":
        """Begins with a phase of training, on another data set, and starts from the body that it leaves."""
        if not isinstance(phase, Phase):
            raise UsageError(f"with_start takes a phase, as Phase('flowers', epochs=5), not {_kind(phase)}")
        return replace(self, start=phase)

    def with_teacher(self, teacher: Teacher) -> "Recipe":
        """Trains on what networks say that learn first, in the place of labels."""
        if not isinstance(teacher, Teacher):
            raise UsageError(f"with_teacher takes a teacher, as Teacher({{'width': 4}}), not {_kind(teacher)}")
        return replace(self, teacher=teacher)

    def with_images(self, per_class: int) -> "Recipe":
        """Trains on so many images of each class, which the trial's seed draws: of fewer images the first of more."""
        return replace(self, images_per_class=arguments.whole("with_images: a number of images", per_class))

    def with_before_step(self, action: AroundStep) -> "Recipe":
        """Calls `action(network, step)` as well when the gradients are there and the weights have not moved yet."""
        return replace(self, before_step=(*self.before_step, _callable("before_step", action)))

    def with_after_step(self, action: AroundStep) -> "Recipe":
        """Calls `action(network, step)` as well when the weights have moved."""
        return replace(self, after_step=(*self.after_step, _callable("after_step", action)))


def recipe_of(trial: Trial) -> Recipe:
    """The default recipe, changed by each level of the trial's that is not its factor's `off`, in the catalogue's
    order. Raises UsageError for a change that fails or returns no recipe."""
    recipe = Recipe()
    for factor in catalogue().factors:
        level = level_of(trial.cell.levels, factor)
        if factor.change is None or level == factor.off:
            continue
        what = f"the change of {factor.name}={format_level(level)}"
        changed = called(what, factor.change, recipe, level)
        if not isinstance(changed, Recipe):
            raise UsageError(
                f"{place_of(factor.change)}{what} returns {_kind(changed)}: return the changed recipe, as in "
                "lambda recipe, level: recipe.with_loss(...)"
            )
        recipe = changed
    return recipe


def _callable(part: str, given: Given) -> Given:
    if not callable(given):
        raise UsageError(f"with_{part} takes a function, not {_kind(given)}: give the function itself, uncalled")
    return given


def _kind(value: object) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"
