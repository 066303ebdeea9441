"""The updates of torch's optimisers and the rates of its schedulers, for parameters that lie in one vector.

torch's own `step` walks through lists and checks at each call; for 8,000 parameters that costs more than the update.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from bench.errors import UsageError, near_matches
from bench.plan.catalogue import looked_up_level
from bench.plan.trials import Trial

MOMENTUM = 0.9
STEP_EPOCHS = 15
STEP_GAMMA = 0.1

Value = float | Tensor
Kind = TypeVar("Kind")


# Moves parameters, the first argument, along their gradient, the second, in place. The others are rate and momentum:
# numbers, or tensors that broadcast.
Update = Callable[[Tensor, Tensor, Value, Value], None]


def make_update(trial: Trial) -> Update:
    """The trial's update before its first step. Raises UsageError for an optimiser that there isn't."""
    return optimizer_of(trial).update()


class Schedule:
    """The rate and the momentum (beta1 in AdamW) of each step of a trial, in order."""

    def __init__(self, trial: Trial, steps_per_epoch: int) -> None:
        self._optimizer = optimizer_of(trial).stand_in([Parameter(torch.empty(0))], trial.lr)
        schedule = schedule_of(trial)
        self._scheduler = schedule.scheduler(self._optimizer, trial.lr, steps_per_epoch * trial.protocol.epochs)
        self._by_batch = schedule.by_batch
        # A scheduler warns where its optimiser has made no step before it.
        self._optimizer.step()
        self._steps_per_epoch = steps_per_epoch
        self._ahead: deque[tuple[float, float]] = deque()

    def next_rate(self) -> float:
        """The rate of the next step."""
        self._fill()
        return self._ahead[0][0]

    def take(self) -> tuple[float, float]:
        """Rate and momentum of the next step, which is then over."""
        self._fill()
        return self._ahead.popleft()

    def _fill(self) -> None:
        """Runs torch's scheduler an epoch ahead: in one go it costs less than between steps."""
        if self._ahead:
            return
        for _ in range(self._steps_per_epoch):
            group = self._optimizer.param_groups[0]
            self._ahead.append((group["lr"], group["betas"][0] if "betas" in group else group["momentum"]))
            if self._by_batch:
                self._scheduler.step()
        if not self._by_batch:
            self._scheduler.step()


@dataclass(frozen=True, slots=True)
class OptimizerKind:
    """An optimiser: `update` makes the function that moves a vector of parameters, `stand_in` torch's own of that kind,
    for parameters and a rate, which torch's schedulers drive."""

    update: Callable[[], Update]
    stand_in: Callable[[Sequence[Parameter], float], Optimizer]


@dataclass(frozen=True, slots=True)
class ScheduleKind:
    """A schedule: `scheduler` makes torch's, from an optimiser, the trial's rate and the number of steps; `by_batch`
    says whether it moves after every batch or after every epoch."""

    scheduler: Callable[[Optimizer, float, int], LRScheduler]
    by_batch: bool


def optimizer_of(trial: Trial) -> OptimizerKind:
    """The trial's optimiser. Raises UsageError for one that there isn't."""
    return _found(OPTIMIZERS, trial.protocol.optimizer, "optimiser")


def schedule_of(trial: Trial) -> ScheduleKind:
    """The trial's schedule, which a change of the recipe may replace. Raises UsageError for one that there isn't."""
    return _found(SCHEDULES, looked_up_level("scheduler", trial.cell.levels), "schedule")


def _found(kinds: Mapping[str, Kind], name: str, what: str) -> Kind:
    if name not in kinds:
        raise UsageError(f"no {what} is called {name!r}: {near_matches(name, kinds)}")
    return kinds[name]


class SgdUpdate:
    """SGD with momentum, without weight decay: Sutskever et al. 2013 as torch has it: the velocity is not
    scaled by the rate."""

    def __init__(self) -> None:
        self._velocity: Tensor | None = None

    def __call__(self, parameters: Tensor, gradient: Tensor, rate: Value, momentum: Value) -> None:
        """Moves the parameters by a step, in place."""
        if self._velocity is None:
            self._velocity = torch.zeros_like(gradient)
        self._velocity.mul_(momentum).add_(gradient)
        parameters.sub_(self._velocity * rate)


class AdamWUpdate:
    """Loshchilov and Hutter 2019, algorithm 2 without decay, with torch's defaults for beta2 and epsilon."""

    BETA2 = 0.999
    EPSILON = 1e-8

    def __init__(self) -> None:
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def __call__(self, parameters: Tensor, gradient: Tensor, rate: Value, momentum: Value) -> None:
        """Moves the parameters by a step, in place."""
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._steps += 1
        self._mean.mul_(momentum).add_(gradient * (1 - momentum))
        self._square.mul_(self.BETA2).addcmul_(gradient, gradient, value=1 - self.BETA2)
        deviation = (self._square / (1 - self.BETA2**self._steps)).sqrt_().add_(self.EPSILON)
        parameters.sub_(self._mean / deviation * (rate / (1 - momentum**self._steps)))


def _sgd(parameters: Sequence[Parameter], rate: float) -> Optimizer:
    return SGD(parameters, lr=rate, momentum=MOMENTUM)


def _adamw(parameters: Sequence[Parameter], rate: float) -> Optimizer:
    return AdamW(parameters, lr=rate)


def _step(optimizer: Optimizer, rate: float, steps: int) -> LRScheduler:  # noqa: ARG001  # schedules share a signature
    """StepLR(15, 0.1). Within 15 epochs the rate never drops."""
    return StepLR(optimizer, STEP_EPOCHS, STEP_GAMMA)


def _cosine(optimizer: Optimizer, rate: float, steps: int) -> LRScheduler:  # noqa: ARG001  # schedules share a signature
    """From the rate along half a cosine to 0 over the whole training (Loshchilov and Hutter 2017, without restarts): no
    warm-up, and momentum stays."""
    return CosineAnnealingLR(optimizer, steps)


def _onecycle(optimizer: Optimizer, rate: float, steps: int) -> LRScheduler:
    """One cycle over the whole training (Smith and Topin 2018), the rate as its peak, and torch's defaults for the
    rest: it rises for 30 % of the steps from a 25th of the peak and falls along a cosine to almost nothing; momentum
    moves from 0.95 to 0.85 and back."""
    return OneCycleLR(optimizer, max_lr=rate, total_steps=steps)


OPTIMIZERS: Mapping[str, OptimizerKind] = {
    "sgd": OptimizerKind(SgdUpdate, _sgd),
    "adamw": OptimizerKind(AdamWUpdate, _adamw),
}

SCHEDULES: Mapping[str, ScheduleKind] = {
    "step": ScheduleKind(_step, by_batch=False),
    "cosine": ScheduleKind(_cosine, by_batch=True),
    "onecycle": ScheduleKind(_onecycle, by_batch=True),
}
