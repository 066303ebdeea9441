"""Training: `fit` takes a stack of trials and returns one outcome per trial."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.blocks import assemble
from architectures.layers import Dropout, NormReLU, fast_generator
from bench.errors import UsageError
from bench.plan.cells import find_architecture
from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.augment import augment
from bench.train.data import Data
from bench.train.optim import Schedule, current_rate, make_optimizer

EVALUATION_BATCH = 200


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training images. Accuracies in [0, 1], losses in nats, seconds of training and measuring.

    Training figures are running averages over the distorted images as they were trained on; `lr` is the epoch's first.
    """

    number: int
    train_accuracy: float
    train_loss: float
    held_out_accuracy: float
    held_out_loss: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. `predicted` is the class that the last epoch's network gave each held-out image, in order;
    `train_seconds` leaves measuring out. A diverged trial ends with the epoch whose loss was not finite."""

    status: Literal["done", "diverged"]
    curve: tuple[Epoch, ...]
    predicted: tuple[int, ...]
    train_seconds: float


OnEpoch = Callable[[Trial, Epoch], None]


def fit(stack: Sequence[Trial], data: Data, on_epoch: OnEpoch | None = None) -> list[Outcome]:
    """Trains the trials of a stack, whose networks must have the same shapes, and measures each after every epoch.

    `data` must already hold out what the trials' protocol asks for. An outcome depends on its own trial alone, not on
    the stack it was in. Changes torch's global generator. Raises UsageError for a batch larger than the training data,
    ValueError for mixed shapes.
    """
    if len({trial.cell.shapes for trial in stack}) > 1:
        raise ValueError("the networks of a stack must have the same shapes")
    return [_fit_one(trial, data, on_epoch) for trial in stack]


class Training:
    """A trial under way: its network, optimiser, schedule and streams of random numbers."""

    def __init__(self, trial: Trial, data: Data) -> None:
        if trial.protocol.batch_size > len(data.train):
            raise UsageError(
                f"--batch-size {trial.protocol.batch_size} is larger than "
                f"{data.name}'s {len(data.train)} training images"
            )
        self.trial = trial
        self.data = data
        self.network = build_network(trial, data)
        self.optimizer = make_optimizer(trial, self.network.parameters())
        steps_per_epoch = math.ceil(len(data.train) / trial.protocol.batch_size)
        self.schedule = Schedule(trial, self.optimizer, steps_per_epoch)
        self._order = torch.Generator().manual_seed(stream("order", trial.seed))
        self._distortion = torch.Generator().manual_seed(stream("augmentation", trial.seed))

    def epoch(self) -> tuple[int, float]:
        """One pass over the training images; the number it got right and the sum of its losses."""
        self.network.train()
        hits = torch.zeros((), dtype=torch.int64)
        loss_sum = torch.zeros((), dtype=torch.float64)
        shuffled = torch.randperm(len(self.data.train), generator=self._order)
        for indices in shuffled.split(self.trial.protocol.batch_size):
            loss, right = self.step(indices)
            hits += right
            loss_sum += loss.double() * len(indices)
        self.schedule.after_epoch()
        return int(hits.item()), float(loss_sum.item())

    def step(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Trains on the training images at `indices`; their mean loss before the step, and how many were right."""
        batch = self.data.train.take(indices)
        images = augment(batch.images.float().div_(255), self.trial.cell.levels.augmentation, self._distortion)
        with precision_of(self.trial):
            logits = self.network(prepare(images, *self.data.pixel_mean_std))
        logits = logits.float()
        loss = F.cross_entropy(logits, batch.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.after_step()
        return loss.detach(), (logits.detach().argmax(1) == batch.labels).sum()

    def evaluate(self) -> tuple[Tensor, float]:
        """The class that the network gives each held-out image, int64 (N,), and its mean loss in nats."""
        split = self.data.held_out
        self.network.eval()
        predicted, loss_sum = [], 0.0
        batches = zip(split.images.split(EVALUATION_BATCH), split.labels.split(EVALUATION_BATCH), strict=True)
        with torch.inference_mode(), precision_of(self.trial):
            for images, labels in batches:
                logits = self.network(prepare(images.float().div_(255), *self.data.pixel_mean_std)).float()
                predicted.append(logits.argmax(1))
                loss_sum += F.cross_entropy(logits, labels, reduction="sum").item()
        return torch.cat(predicted), loss_sum / len(split)


def build_network(trial: Trial, data: Data) -> nn.Sequential:
    """The trial's network, initialised from its seed's stream, in training mode and laid out channels last."""
    torch.manual_seed(stream("init", trial.seed))
    network = assemble(find_architecture(trial.cell.architecture), trial.cell.levels, data.input_shape, data.classes)
    dropout_generator = fast_generator(stream("dropout", trial.seed))
    for module in network.modules():
        if isinstance(module, Dropout | NormReLU):
            module.generator = dropout_generator
    return network.to(memory_format=torch.channels_last)


def has_native_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware: AMX or AVX-512 BF16 on x86, BF16 on ARM."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def precision_of(trial: Trial) -> torch.autocast:
    """The context in which the trial's network computes: under bf16, convolutions and linear layers in bfloat16, while
    weights, statistics, losses and updates stay in float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=trial.protocol.precision == "bf16")


def prepare(images: Tensor, mean: float, std: float) -> Tensor:
    """Float images (N, C, H, W) in [0, 1], normalised by the mean and standard deviation, laid out channels last."""
    return images.sub(mean).div_(std).contiguous(memory_format=torch.channels_last)


def _fit_one(trial: Trial, data: Data, on_epoch: OnEpoch | None) -> Outcome:
    training = Training(trial, data)
    curve: list[Epoch] = []
    predicted = torch.empty(0, dtype=torch.int64)
    train_seconds = 0.0
    for number in range(1, trial.protocol.epochs + 1):
        lr = current_rate(training.optimizer)
        start = time.perf_counter()
        hits, loss_sum = training.epoch()
        trained = time.perf_counter()
        train_seconds += trained - start
        predicted, held_out_loss = training.evaluate()
        epoch = Epoch(
            number=number,
            train_accuracy=hits / len(data.train),
            train_loss=loss_sum / len(data.train),
            held_out_accuracy=(predicted == data.held_out.labels).double().mean().item(),
            held_out_loss=held_out_loss,
            lr=lr,
            seconds=time.perf_counter() - start,
        )
        curve.append(epoch)
        if on_epoch is not None:
            on_epoch(trial, epoch)
        if not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.held_out_loss)):
            return Outcome("diverged", tuple(curve), tuple(predicted.tolist()), train_seconds)
    return Outcome("done", tuple(curve), tuple(predicted.tolist()), train_seconds)
