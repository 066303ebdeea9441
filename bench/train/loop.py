"""The epochs of a stack: train, measure, and stop what diverged."""

import math
import time
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.outcome import Epoch, OnEpoch, Outcome


class Trainer(Protocol):
    """Trials under way, which share a protocol; what it returns holds one item per trial, in their order."""

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials."""

    def rates(self) -> Sequence[float]:
        """The learning rates of the next step."""

    def epoch(self) -> Sequence[tuple[int, float]]:
        """One pass over the training images: the number that was right, and the sum of their losses."""

    def evaluate(self) -> Sequence[tuple[Tensor, float]]:
        """The class that each held-out image is given, int64 (N,), and their mean loss in nats."""


def train(trainer: Trainer, data: Data, on_epoch: OnEpoch | None = None) -> list[Outcome]:
    """Trains all epochs and measures after each."""
    members = [_Member(trial) for trial in trainer.trials]
    share = 1 / len(members)
    for number in range(1, members[0].trial.protocol.epochs + 1):
        rates = trainer.rates()
        start = time.perf_counter()
        trained = trainer.epoch()
        train_seconds = (time.perf_counter() - start) * share
        measured = trainer.evaluate()
        seconds = (time.perf_counter() - start) * share
        for member, lr, (hits, loss_sum), (predicted, held_out_loss) in zip(
            members, rates, trained, measured, strict=True
        ):
            if member.diverged:
                continue
            epoch = Epoch(
                number=number,
                train_accuracy=hits / len(data.train),
                train_loss=loss_sum / len(data.train),
                held_out_accuracy=(predicted == data.held_out.labels).double().mean().item(),
                held_out_loss=held_out_loss,
                lr=lr,
                seconds=seconds,
            )
            member.add(epoch, predicted, train_seconds)
            if on_epoch is not None:
                on_epoch(member.trial, epoch)
        if all(member.diverged for member in members):
            break
    return [member.outcome() for member in members]


class _Member:
    """A trial of a stack, and what has come of it so far."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.diverged = False
        self._curve: list[Epoch] = []
        self._predicted = torch.empty(0, dtype=torch.int64)
        self._train_seconds = 0.0

    def add(self, epoch: Epoch, predicted: Tensor, train_seconds: float) -> None:
        self._curve.append(epoch)
        self._predicted = predicted
        self._train_seconds += train_seconds
        self.diverged = not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.held_out_loss))

    def outcome(self) -> Outcome:
        return Outcome(
            status="diverged" if self.diverged else "done",
            curve=tuple(self._curve),
            predicted=tuple(self._predicted.tolist()),
            train_seconds=self._train_seconds,
        )
