"""The updates of torch's optimisers and the rates of its schedulers, for parameters that lie in one vector.

torch's own `step` walks through lists and checks at each call; for 8,000 parameters that costs more than the update.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

from bench.plan.trials import Trial

MOMENTUM = 0.9
STEP_EPOCHS = 15
STEP_GAMMA = 0.1

Value = float | Tensor


# Moves parameters, the first argument, along their gradient, the second, in place. The others are rate and momentum:
# numbers, or tensors that broadcast.
Update = Callable[[Tensor, Tensor, Value, Value], None]


def make_update(trial: Trial) -> Update:
    """SGD with momentum as published, or AdamW without weight decay: neither decays model1's weights."""
    return _AdamW() if trial.protocol.optimizer == "adamw" else _Sgd()


class Schedule:
    """The rate and the momentum (beta1 in AdamW) of each step of a trial, in order.

    - step: StepLR(15, 0.1) by epochs, as published. Within 15 epochs the rate never drops.
    - onecycle: OneCycleLR by batches over the whole training (Smith and Topin 2018), the trial's rate as its peak, and
      torch's defaults for the rest: it rises for 30 % of the steps from a 25th of the peak and falls along a cosine to
      almost nothing; momentum moves from 0.95 to 0.85 and back.
    """

    def __init__(self, trial: Trial, steps_per_epoch: int) -> None:
        nothing = [torch.nn.Parameter(torch.empty(0))]
        adamw = trial.protocol.optimizer == "adamw"
        self._optimizer = AdamW(nothing, lr=trial.lr) if adamw else SGD(nothing, lr=trial.lr, momentum=MOMENTUM)
        self._by_batch: LRScheduler | None = None
        self._by_epoch: LRScheduler | None = None
        if trial.cell.levels.scheduler == "onecycle":
            steps = steps_per_epoch * trial.protocol.epochs
            self._by_batch = OneCycleLR(self._optimizer, max_lr=trial.lr, total_steps=steps)
        else:
            self._by_epoch = StepLR(self._optimizer, STEP_EPOCHS, STEP_GAMMA)
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
            if self._by_batch is not None:
                self._by_batch.step()
        if self._by_epoch is not None:
            self._by_epoch.step()


class _Sgd:
    """Sutskever et al. 2013 as torch has it: the velocity is not scaled by the rate."""

    def __init__(self) -> None:
        self._velocity: Tensor | None = None

    def __call__(self, parameters: Tensor, gradient: Tensor, rate: Value, momentum: Value) -> None:
        if self._velocity is None:
            self._velocity = torch.zeros_like(gradient)
        self._velocity.mul_(momentum).add_(gradient)
        parameters.sub_(self._velocity * rate)


class _AdamW:
    """Loshchilov and Hutter 2019, algorithm 2 without decay, with torch's defaults for beta2 and epsilon."""

    BETA2 = 0.999
    EPSILON = 1e-8

    def __init__(self) -> None:
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def __call__(self, parameters: Tensor, gradient: Tensor, rate: Value, momentum: Value) -> None:
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._steps += 1
        self._mean.mul_(momentum).add_(gradient * (1 - momentum))
        self._square.mul_(self.BETA2).addcmul_(gradient, gradient, value=1 - self.BETA2)
        deviation = (self._square / (1 - self.BETA2**self._steps)).sqrt_().add_(self.EPSILON)
        parameters.sub_(self._mean / deviation * (rate / (1 - momentum**self._steps)))
