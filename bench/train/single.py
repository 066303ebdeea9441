"""A trial that trains alone, on a CPU."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.data import Data
from bench.train.evaluation import evaluate
from bench.train.optim import Schedule, make_update
from bench.train.seeded import build_network
from bench.train.weights import Weights, can_round


class Training:
    """A trial under way: its network, schedule and streams of random numbers."""

    def __init__(self, trial: Trial, data: Data) -> None:
        self.trial = trial
        self.data = data
        self.network = build_network(trial, data)
        half = trial.protocol.precision == "bf16"
        rounds = half and can_round(self.network)
        self._weights = Weights(self.network, half=rounds)
        self._cast = torch.autocast("cpu", torch.bfloat16, enabled=half and not rounds)
        self.dtype = torch.bfloat16 if rounds else torch.float32
        self._update = make_update(trial)
        steps_per_epoch = math.ceil(len(data.train) / trial.protocol.batch_size)
        self._schedule = Schedule(trial, steps_per_epoch)
        self._order = torch.Generator().manual_seed(stream("order", trial.seed))
        self._distortion = torch.Generator().manual_seed(stream("augmentation", trial.seed))

    @property
    def trials(self) -> Sequence[Trial]:
        """The trial."""
        return [self.trial]

    def rates(self) -> Sequence[float]:
        """The learning rate of the next step."""
        return [self._schedule.next_rate()]

    def epoch(self) -> Sequence[tuple[int, float]]:
        """One pass over the training images: the number that was right, and the sum of their losses."""
        self.network.train()
        hits = torch.zeros((), dtype=torch.int64)
        loss_sum = torch.zeros((), dtype=torch.float64)
        shuffled = torch.randperm(len(self.data.train), generator=self._order)
        for indices in shuffled.split(self.trial.protocol.batch_size):
            loss, right = self.step(indices)
            hits += right
            loss_sum += loss.double() * len(indices)
        return [(int(hits.item()), float(loss_sum.item()))]

    def step(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Trains on the training images at `indices`; their mean loss before the step, and how many were right."""
        batch = self.data.train.take(indices)
        images = augment(batch.images, str(self.trial.cell.levels["augmentation"]), self._distortion)
        with self._cast:
            logits = self.network(self.prepare(images, self.dtype)).float()
        loss = F.cross_entropy(logits, batch.labels)
        self._weights.clear()
        loss.backward()
        self._weights.gather()
        self._update(self._weights.values, self._weights.gradient, *self._schedule.take())
        self._weights.publish()
        return loss.detach(), (logits.detach().argmax(1) == batch.labels).sum()

    def evaluate(self) -> Sequence[tuple[Tensor, float]]:
        """The class that each held-out image is given, int64 (N,), and their mean loss in nats."""
        predicted, losses = evaluate(self._weights.exact, self.data.held_out, self.prepare)
        return [(predicted[:, 0], float(losses[0]))]

    def prepare(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Float images (N, C, H, W) in [0, 1] as a network takes them: normalised, laid out channels last."""
        mean, std = self.data.pixel_mean_std
        # Of one channel, `to` would keep the strides, and convolutions then take the images for channels first.
        prepared = torch.empty(images.shape, dtype=dtype, memory_format=torch.channels_last)
        return prepared.copy_(images.sub(mean).div_(std))
