"""Readouts: further ways to predict with what a training leaves, which they only look at."""

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from bench.errors import UsageError
from bench.plan.catalogue import catalogue
from bench.plan.readouts import LAST, SNAPSHOTS, TAIL, Readout
from bench.plan.trials import Trial
from bench.train.called import called, place_of
from bench.train.code import digest_of
from bench.train.data import Split
from bench.train.evaluation import EVALUATION_BATCH
from bench.train.general import GeneralTraining
from bench.train.single import Training
from bench.train.stack import StackTraining
from bench.train.values import digest_of_values

AnyTraining = Training | StackTraining | GeneralTraining

# Float32 logarithms of probabilities, (images, classes).
LogProbabilities = NDArray[np.float32]

# Images that a readout of a study's own is tried on before the training; and how far the sum of an image's
# probabilities may be from 1.
_FEW = 4
_ROUNDING = 1e-3


class Followed:
    """A training that is followed as it goes, so that its readouts can be had when it is done. It trains as it would
    without: what is read out is looked at, and nothing is drawn.

    Raises UsageError where a readout of the study's own can't read the network out that it begins with: then it isn't
    trained for nothing.
    """

    def __init__(self, training: AnyTraining) -> None:
        self._training = training
        self._network = exact_network(training)
        protocol = training.trials[0].protocol
        ask_own(training, protocol.readouts)
        self._steps = math.ceil(len(training.data.train) / protocol.batch_size)
        self._epochs = protocol.epochs
        self._kept = Kept(self._network)
        _call_after_steps(training, self._after_step)
        self._seen_steps, self._seen_epochs = 0, 0

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials."""
        return self._training.trials

    def rates(self) -> Sequence[float]:
        """The learning rates of the next step."""
        return self._training.rates()

    def epoch(self) -> Sequence[tuple[int, float]]:
        """As the training's."""
        counted = self._training.epoch()
        self._seen_epochs += 1
        self._kept.add_end(self._network, left=self._epochs - self._seen_epochs)
        return counted

    def evaluate(self) -> Sequence[tuple[Tensor, float]]:
        """As the training's."""
        return self._training.evaluate()

    def read(self, names: Sequence[str]) -> list[dict[str, LogProbabilities]]:
        """Of each trial, by readout, what it gives the held-out images."""
        found: list[dict[str, LogProbabilities]] = [{} for _ in self.trials]
        for name in names:
            own = catalogue().readouts.get(name)
            read = READ[name](self._training, self._kept) if own is None else _read_own(own, self._training)
            for member, values in enumerate(read):
                found[member][name] = values.numpy()
        return found

    def _after_step(self) -> None:
        self._kept.add_step(self._network, self._seen_steps, self._steps)
        self._seen_steps += 1


@dataclass(frozen=True, slots=True)
class Weights:
    """The parameters and buffers of a network, in its order."""

    parameters: list[Tensor]
    buffers: list[Tensor]


class Kept:
    """What is kept of a training while it goes: an exponential average of its weights, the mean of those after each of
    the last TAIL epochs, and the last SNAPSHOTS themselves."""

    def __init__(self, network: nn.Module) -> None:
        self.average = _copied(network.parameters())
        self.mean = _copied(network.parameters())
        self.ends: list[Weights] = []
        self._averaged = 0

    @torch.no_grad()
    def add_step(self, network: nn.Module, seen: int, horizon: int) -> None:
        """Adds the weights after a step to the average: of the first `horizon` steps it is the plain mean, later the
        weight of a step falls to 1/e in so many."""
        move = get_swa_multi_avg_fn() if seen < horizon else get_ema_multi_avg_fn(1 - 1 / horizon)
        move(self.average, list(network.parameters()), seen)

    @torch.no_grad()
    def add_end(self, network: nn.Module, left: int) -> None:
        """Adds the weights after an epoch, with so many epochs left."""
        if left < TAIL:
            get_swa_multi_avg_fn()(self.mean, list(network.parameters()), self._averaged)
            self._averaged += 1
        if left < SNAPSHOTS:
            self.ends.append(Weights(_copied(network.parameters()), _copied(network.buffers())))


def exact_network(training: AnyTraining) -> nn.Module:
    """The network with the weights as they are, whatever precision it trains in."""
    # Keys of rows hold the code of these classes, so that none of them can say it in a property of its own.
    return training.network if isinstance(training, GeneralTraining) else training._weights.exact


def _call_after_steps(training: AnyTraining, action: Callable[[], None]) -> None:
    name = "_step" if isinstance(training, StackTraining) else "step"
    step = getattr(training, name)

    def step_and_act(*inputs: Tensor) -> object:
        result = step(*inputs)
        action()
        return result

    setattr(training, name, step_and_act)


def _copied(tensors: Iterator[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def _read_last(training: AnyTraining, _kept: Kept) -> Sequence[Tensor]:
    return _log_probabilities(exact_network(training), training)


def _read_shifted(training: AnyTraining, _kept: Kept) -> Sequence[Tensor]:
    network = exact_network(training)
    shifts = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
    return _mean([_log_probabilities(network, training, partial(_shifted, by=by)) for by in shifts])


def _read_norms(training: AnyTraining, _kept: Kept) -> Sequence[Tensor]:
    return _log_probabilities(_with(training, None), training)


def _read_average(training: AnyTraining, kept: Kept) -> Sequence[Tensor]:
    return _log_probabilities(_with(training, kept.average), training)


def _read_mean(training: AnyTraining, kept: Kept) -> Sequence[Tensor]:
    return _log_probabilities(_with(training, kept.mean), training)


def _read_snapshots(training: AnyTraining, kept: Kept) -> Sequence[Tensor]:
    network = copy.deepcopy(exact_network(training))
    found = []
    for weights in kept.ends:
        _put(network.parameters(), weights.parameters)
        _put(network.buffers(), weights.buffers)
        found.append(_log_probabilities(network, training))
    return _mean(found)


# By name, what reads a training out: of each trial the logarithms of probabilities, (images, classes).
READ: Mapping[str, Callable[[AnyTraining, Kept], Sequence[Tensor]]] = {
    LAST: _read_last,
    "norms": _read_norms,
    "ema": _read_average,
    "swa": _read_mean,
    "snapshots": _read_snapshots,
    "tta": _read_shifted,
}


def readout_digest(name: str) -> str:
    """16 hexadecimal digits of the code that reads a training out so."""
    own = catalogue().readouts.get(name)
    return _digest(name) if own is None else digest_of_values(own.predict)


@cache
def _digest(name: str) -> str:
    return digest_of(READ[name], Kept, Followed.epoch, Followed._after_step, apart=(*AnyTraining.__args__, Trial))


def _with(training: AnyTraining, parameters: Sequence[Tensor] | None) -> nn.Module:
    """A copy of the network with other parameters, or its own, and batch norm's statistics of the training images.

    As torch.optim.swa_utils.update_bn, which would leave dropout on: only the norms are in training mode.
    """
    network = copy.deepcopy(exact_network(training)).eval()
    if parameters is not None:
        _put(network.parameters(), parameters)
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # all batches count alike
        norm.train()
    if norms:
        with torch.no_grad():
            for images in training.data.train.images.split(EVALUATION_BATCH):
                network(training.prepare(images.float().div_(255)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


@torch.no_grad()
def _put(places: Iterator[Tensor], values: Sequence[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def _log_probabilities(
    network: nn.Module, training: AnyTraining, view: Callable[[Tensor], Tensor] | None = None
) -> Sequence[Tensor]:
    """Of each trial, on the CPU, for the held-out images, as they are or as `view` gives them."""
    held_out: Split = training.data.held_out
    network.eval()
    found = []
    with torch.inference_mode():
        for batch in held_out.images.split(EVALUATION_BATCH):
            images = batch.float().div_(255)
            logits = network(training.prepare(images if view is None else view(images))).float()
            members = logits.unsqueeze(1) if logits.ndim == 2 else logits
            found.append(members.log_softmax(2).cpu())
    return torch.cat(found).unbind(1)


def ask_own(training: AnyTraining, names: Collection[str]) -> None:
    """Asks those of the study's own readouts that are among `names` to read a training out as it is. Raises UsageError,
    with the place in the user's file, for one that can't."""
    for name, own in catalogue().readouts.items():
        if name in names:
            _read_own(own, training, training.data.held_out.images[:_FEW])


class _Member(nn.Module):
    """One of the networks that train as one batched network."""

    def __init__(self, stacked: nn.Module, number: int) -> None:
        super().__init__()
        self._stacked = stacked
        self._number = number

    def forward(self, images: Tensor) -> Tensor:
        """Its logits, (images, classes)."""
        logits: Tensor = self._stacked(images)[:, self._number]
        return logits


def _read_own(readout: Readout, training: AnyTraining, images: Tensor | None = None) -> Sequence[Tensor]:
    """As READ's, by a readout of the study's own, on the held-out images or these, uint8. Each trial's network is a
    copy of its own."""
    images = training.data.held_out.images if images is None else images
    found = []
    for number, _ in enumerate(training.trials):
        network = copy.deepcopy(exact_network(training)).eval()
        member = _Member(network, number) if isinstance(training, StackTraining) else network
        with torch.no_grad():
            parts = [
                _predicted(readout, member, training.prepare(batch.float().div_(255)), training.data.classes)
                for batch in images.split(EVALUATION_BATCH)
            ]
        found.append(torch.cat(parts).log())
    return found


def _predicted(readout: Readout, network: nn.Module, images: Tensor, classes: int) -> Tensor:
    """What a readout of the study's own predicts, on the CPU. Raises UsageError where these are no probabilities."""
    predict = cast(Callable[..., Any], readout.predict)  # a study's own has one
    found = called(f"readout {readout.name}", predict, network, images)
    place = f"{place_of(predict)}readout {readout.name}"
    expected = (len(images), classes)
    if not isinstance(found, Tensor) or tuple(found.shape) != expected:
        given = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise UsageError(f"{place} returns {given}, and should return probabilities of shape {expected}")
    found = found.detach().float().cpu()
    if not (found.isfinite().all() and (found >= 0).all() and ((found.sum(1) - 1).abs() <= _ROUNDING).all()):
        raise UsageError(
            f"{place} returns numbers that are no probabilities: those of an image's classes are 0 or more and sum to "
            "1, as after softmax(1)"
        )
    return found.clamp(min=torch.finfo(found.dtype).tiny)


def _shifted(images: Tensor, by: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) moved by so many pixels down and to the right; what comes in is background."""
    (down, right), (height, width) = by, images.shape[-2:]
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[:, :, 1 - down : 1 - down + height, 1 - right : 1 - right + width]


def _mean(predictions: Sequence[Sequence[Tensor]]) -> Sequence[Tensor]:
    """Of each trial, the logarithm of the mean probabilities."""
    return [torch.stack(of_one).logsumexp(0) - math.log(len(of_one)) for of_one in zip(*predictions, strict=True)]
