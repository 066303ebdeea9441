"""The optimiser and the learning-rate schedule of a trial."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

from bench.plan.trials import Trial

MOMENTUM = 0.9
STEP_EPOCHS = 15
STEP_GAMMA = 0.1


def make_optimizer(trial: Trial, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """SGD with momentum 0.9 as published, or AdamW with torch's defaults; neither decays model1's weights.

    Fused updates: one kernel call a step in place of several a parameter.
    """
    if trial.protocol.optimizer == "adamw":
        return AdamW(parameters, lr=trial.lr, weight_decay=0.0, fused=True)
    return SGD(parameters, lr=trial.lr, momentum=MOMENTUM, fused=True)


class Schedule:
    """Moves an optimiser's rate: call `after_step` when a step is done and `after_epoch` when an epoch is.

    - step: StepLR(15, 0.1) by epochs, as published. Within 15 epochs the rate never drops.
    - onecycle: OneCycleLR by batches over the whole training (Smith and Topin 2018), the trial's rate as its peak, and
      torch's defaults for the rest: it rises for 30 % of the steps from a 25th of the peak and falls along a cosine to
      almost nothing; momentum moves from 0.95 to 0.85 and back.
    """

    def __init__(self, trial: Trial, optimizer: Optimizer, steps_per_epoch: int) -> None:
        self._by_batch: LRScheduler | None = None
        self._by_epoch: LRScheduler | None = None
        if trial.cell.levels.scheduler == "onecycle":
            steps = steps_per_epoch * trial.protocol.epochs
            self._by_batch = OneCycleLR(optimizer, max_lr=trial.lr, total_steps=steps)
        else:
            self._by_epoch = StepLR(optimizer, STEP_EPOCHS, STEP_GAMMA)

    def after_step(self) -> None:
        """One batch was trained on."""
        if self._by_batch is not None:
            self._by_batch.step()

    def after_epoch(self) -> None:
        """One pass over the training images is done."""
        if self._by_epoch is not None:
            self._by_epoch.step()


def current_rate(optimizer: Optimizer) -> float:
    """The rate of the next step."""
    rate = optimizer.param_groups[0]["lr"]
    return float(rate.item() if isinstance(rate, torch.Tensor) else rate)
