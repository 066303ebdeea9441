"""The general way to train a trial: plain torch, any module, any recipe, any device."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from bench.plan.seeds import batch_stream, stream
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.called import called
from bench.train.contract import changed_batch, loss_of, made_optimizer, made_scheduler
from bench.train.data import Data
from bench.train.evaluation import evaluate
from bench.train.network import check_logits
from bench.train.optim import optimizer_of, schedule_of
from bench.train.recipe import AroundStep, Recipe
from bench.train.seeded import build_readable_network


class GeneralTraining:
    """A trial under way by its recipe. It takes the streams of random numbers that `Training` takes, so that with the
    same loss, optimiser and schedule it ends where that does, but for rounding; changes of batches have one of their
    own. Images are distorted and changed on the CPU: a seed draws the same numbers on every device.
    """

    def __init__(self, trial: Trial, data: Data, recipe: Recipe, device: torch.device) -> None:
        self.trial = trial
        self.data = data
        self.dtype = torch.float32
        self._recipe = recipe
        self._device = device
        self.network = build_readable_network(trial, data).to(device)
        self._cast = torch.autocast(device.type, torch.bfloat16, enabled=trial.protocol.precision == "bf16")
        self._steps_per_epoch = math.ceil(len(data.train) / trial.protocol.batch_size)
        self._optimizer = self._make_optimizer()
        self._scheduler, self._every = self._make_scheduler()
        self._steps = 0
        self._order = torch.Generator().manual_seed(stream("order", trial.seed))
        self._distortion = torch.Generator().manual_seed(stream("augmentation", trial.seed))
        self._changes = torch.Generator().manual_seed(batch_stream(trial.seed))

    @property
    def trials(self) -> Sequence[Trial]:
        """The trial."""
        return [self.trial]

    def rates(self) -> Sequence[float]:
        """The learning rate of the next step."""
        return [float(self._optimizer.param_groups[0]["lr"])]

    def epoch(self) -> Sequence[tuple[int, float]]:
        """One pass over the training images: the number that was right, and the sum of their losses."""
        self.network.train()
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        shuffled = torch.randperm(len(self.data.train), generator=self._order)
        for indices in shuffled.split(self.trial.protocol.batch_size):
            loss, right = self.step(indices)
            hits += right
            loss_sum += loss.double() * len(indices)
        return [(int(hits.item()), float(loss_sum.item()))]

    def step(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Trains on the training images at `indices`; their mean loss before the step, and how many were right by their
        labels, whatever a change made of those."""
        images, targets, labels = self._batch(indices)
        with self._cast:
            logits = called("the network", self.network, self.prepare(images))
        check_logits(logits, len(indices), self.data.classes, self.trial.cell)
        logits = logits.float()
        loss = loss_of(self._recipe, logits, targets)
        self._optimizer.zero_grad()
        called("the gradient of the loss", loss.backward)
        self._steps += 1
        self._act(self._recipe.before_step, "what happens before a step")
        called("a step of the optimizer", self._optimizer.step, place=self._recipe.places.get("optimizer", ""))
        self._act(self._recipe.after_step, "what happens after a step")
        self._move_rate()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def evaluate(self) -> Sequence[tuple[Tensor, float]]:
        """The class that each held-out image is given, int64 (N,), and their mean loss in nats."""
        predicted, losses = evaluate(self.network, self.data.held_out, self.prepare)
        return [(predicted[:, 0], float(losses[0]))]

    def prepare(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Float images (N, C, H, W) in [0, 1] as a network takes them: normalised, laid out channels last."""
        mean, std = self.data.pixel_mean_std
        # Of one channel, `to` would keep the strides, and convolutions then take the images for channels first.
        prepared = torch.empty(images.shape, dtype=dtype, device=self._device, memory_format=torch.channels_last)
        return prepared.copy_(images.sub(mean).div_(std))

    def _batch(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images, their targets and their labels; the images still on the CPU."""
        batch = self.data.train.take(indices)
        images = augment(batch.images, str(self.trial.cell.levels["augmentation"]), self._distortion)
        targets = batch.labels
        for change in self._recipe.batch:
            images, targets = changed_batch(change, images, targets, self._changes, self.data.classes)
        return images, targets.to(self._device), batch.labels.to(self._device)

    def _make_optimizer(self) -> Optimizer:
        learning = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        make = self._recipe.optimizer or optimizer_of(self.trial).stand_in
        optimizer = made_optimizer(make, learning, self.trial.lr, self._recipe.places.get("optimizer", ""))
        for group in optimizer.param_groups:
            # One call for all parameters; what a user has chosen stays.
            if group.get("foreach", True) is None and not group.get("fused"):
                group["foreach"] = True
        return optimizer

    def _make_scheduler(self) -> tuple[LRScheduler, int]:
        """The scheduler, and after how many steps it moves."""
        steps, epochs = self._steps_per_epoch * self.trial.protocol.epochs, self.trial.protocol.epochs
        usual = schedule_of(self.trial)
        own, make = self._recipe.schedule is not None, self._recipe.schedule or usual.scheduler
        by_step = self._recipe.every == "step" if own else usual.by_batch
        moves = epochs if own and not by_step else steps
        place = self._recipe.places.get("schedule", "")
        scheduler = made_scheduler(make, self._optimizer, self.trial.lr, moves, place)
        return scheduler, 1 if by_step else self._steps_per_epoch

    def _act(self, actions: Sequence[AroundStep], what: str) -> None:
        with torch.no_grad():
            for action in actions:
                called(what, action, self.network, self._steps)

    def _move_rate(self) -> None:
        # Who times steps may take more than the training has, and some schedules have no rate for those.
        over = self._steps >= self._steps_per_epoch * self.trial.protocol.epochs
        if self._steps % self._every == 0 and not over:
            called("the schedule", self._scheduler.step, place=self._recipe.places.get("schedule", ""))
