"""Trials whose networks have the same shapes, trained together in one batched step: the way of a GPU."""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plan.augmentation import AT_LEVEL, Augmentation
from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.augment import draw
from bench.train.data import Data
from bench.train.evaluation import evaluate
from bench.train.fast.activation import Activation
from bench.train.fast.stacked import StackedNetwork
from bench.train.optim import Schedule, make_update
from bench.train.seeded import build_network
from bench.train.weights import Weights

# Steps that run before one is recorded as a CUDA graph: they set up what later ones only use.
WARM_UP_STEPS = 3


class StackTraining:
    """K trials under way on one device as one network. Members share the images and nothing else: each has its seed's
    order, distortions and dropout and its own rate, and ends where it would alone, but for rounding.

    All numbers of an epoch are drawn ahead, on the CPU, from the streams that the trials would use alone. `loss_sums`,
    float64 (K,), holds the losses of the epoch's images so far.
    """

    def __init__(self, trials: Sequence[Trial], data: Data, device: torch.device) -> None:
        self.trials = trials
        self.data = data
        self._device = device
        self._images, self._labels = data.train.images.to(device), data.train.labels.to(device)
        # Here once and for all: while steps are recorded, nothing may be copied to a GPU.
        self._mean, self._std = (values.to(device) for values in data.pixel_mean_std)
        networks = [build_network(trial, data) for trial in trials]
        half = trials[0].protocol.precision == "bf16"
        self.dtype = torch.bfloat16 if half else torch.float32
        self.network = StackedNetwork(networks).to(device)
        self._weights = Weights(self.network, half=half)
        self._owner = _owners(networks, half=half).to(device)
        self._update = make_update(trials[0])
        self._steps_per_epoch = math.ceil(len(data.train) / trials[0].protocol.batch_size)
        self._schedules = [Schedule(trial, self._steps_per_epoch) for trial in trials]
        self._orders = [torch.Generator().manual_seed(stream("order", trial.seed)) for trial in trials]
        self._distortion = _Distortion(trials, device)
        self._dropped = _DropoutKeys(networks, self.network)
        self._hits = torch.zeros(len(trials), dtype=torch.int64, device=device)
        self.loss_sums = torch.zeros(len(trials), dtype=torch.float64, device=device)
        # AdamW counts its steps in Python, where a recorded step would not count.
        recordable = device.type == "cuda" and trials[0].protocol.optimizer == "sgd"
        self._step = _Recorded(self._train_on) if recordable else self._train_on

    def rates(self) -> Sequence[float]:
        """The learning rates of the next step."""
        return [schedule.next_rate() for schedule in self._schedules]

    def epoch(self) -> Sequence[tuple[int, float]]:
        """One pass over the training images: the number that was right and the sum of their losses, by member."""
        self.network.train()
        self._hits.zero_()
        self.loss_sums.zero_()
        count, size = len(self.data.train), self.trials[0].protocol.batch_size
        orders = torch.stack([torch.randperm(count, generator=generator) for generator in self._orders])
        whole = count // size * size
        self.steps(orders[:, :whole].unflatten(1, (-1, size)).transpose(0, 1))
        if whole < count:
            self.steps(orders[None, :, whole:])
        return list(zip(self._hits.tolist(), self.loss_sums.tolist(), strict=True))

    def step(self, indices: Tensor) -> None:
        """Trains every member on the training images at `indices`, int64 (N,)."""
        self.steps(indices.expand(1, len(self.trials), -1))

    def steps(self, indices: Tensor) -> None:
        """Trains on the training images at `indices`, int64 (steps, K, N)."""
        steps, _, size = indices.shape
        rates = torch.tensor([[schedule.take() for schedule in self._schedules] for _ in range(steps)])
        inputs = (indices, self._distortion.draw(steps, size), self._dropped.draw(steps), rates)
        for batch in zip(*(values.to(self._device) for values in inputs), strict=True):
            self._step(*batch)

    def evaluate(self) -> Sequence[tuple[Tensor, float]]:
        """The class that each held-out image is given, int64 (N,), and their mean loss in nats, by member."""
        predicted, losses = evaluate(self._weights.exact, self.data.held_out, self.prepare)
        return list(zip(predicted.unbind(1), losses.tolist(), strict=True))

    def prepare(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Float images (N, C, H, W) in [0, 1] as a network takes them, (N, K C, H, W): the same for every member."""
        return self._normalise(images.to(self._device)[:, None].expand(-1, len(self.trials), -1, -1, -1), dtype)

    def _train_on(self, indices: Tensor, draws: Tensor, keys: Tensor, rates: Tensor) -> None:
        """One step: training images at `indices` (K, N), distorted after `draws` (K, 4, N), dropout from `keys`
        (layers, K, 2), and (K, 2) rates and momenta."""
        images, labels = self._images[indices].float().div_(255), self._labels[indices].T
        self._dropped.set(keys)
        distorted = self._distortion(images, draws).transpose(0, 1)
        logits = self.network(self._normalise(distorted, self.dtype)).float()
        losses = _losses(logits, labels).mean(0)
        self._weights.clear()
        losses.sum().backward()
        self._weights.gather()
        self._update(self._weights.values, self._weights.gradient, *rates[self._owner].unbind(1))
        self._weights.publish()
        self._hits += (logits.detach().argmax(2) == labels).sum(0)
        self.loss_sums += losses.detach().double() * indices.shape[1]

    def _normalise(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Float images (N, K, C, H, W) in [0, 1] to (N, K C, H, W)."""
        return images.sub(self._mean).div_(self._std).to(dtype).flatten(1, 2)


class _Distortion:
    """`augment`, for every member at its own level."""

    def __init__(self, trials: Sequence[Trial], device: torch.device) -> None:
        levels = [AT_LEVEL[str(trial.cell.levels["augmentation"])] for trial in trials]
        self._streams = [
            None if level == Augmentation() else torch.Generator().manual_seed(stream("augmentation", trial.seed))
            for trial, level in zip(trials, levels, strict=True)
        ]
        ranges = torch.tensor(
            [(math.radians(level.rotation), level.shift, level.shift, level.scale) for level in levels]
        )
        self._ranges = ranges[:, :, None].to(device)
        self._distorts = torch.tensor([one is not None for one in self._streams], device=device)

    def draw(self, steps: int, size: int) -> Tensor:
        """(steps, K, 4, size): what each member would draw alone."""
        nothing = torch.zeros(steps, 4, size)
        return torch.stack(
            [nothing if one is None else torch.stack([draw(size, one) for _ in range(steps)]) for one in self._streams],
            dim=1,
        )

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Float images (K, N, C, H, W), each under the transform that (K, 4, N) `draws` say."""
        if not any(self._streams):
            return images
        height, width = images.shape[-2:]
        turn, right, down, grow = ((2 * draws - 1) * self._ranges).unbind(1)
        zoom = 1 / (1 + grow)
        cosine, sine = turn.cos() * zoom, turn.sin() * zoom
        rows = (
            torch.stack([cosine, -sine * (height / width), right * (2 / width)], -1),
            torch.stack([sine * (width / height), cosine, down * (2 / height)], -1),
        )
        flat = images.flatten(0, 1)
        grid = F.affine_grid(torch.stack(rows, -2).flatten(0, 1), list(flat.shape), align_corners=False)
        distorted = F.grid_sample(flat, grid, align_corners=False).view_as(images)
        return distorted.where(self._distorts.view(-1, 1, 1, 1, 1), images)


class _DropoutKeys:
    """The pairs of random numbers that decide what each member drops in each of its layers."""

    def __init__(self, networks: Sequence[nn.Module], stacked: StackedNetwork) -> None:
        layers = [[module for module in network.modules() if isinstance(module, Activation)] for network in networks]
        self._generators = [member[0].generator if member[0].rate else None for member in layers]
        self._layers = len(layers[0])
        self._buffers = [layer.keys for layer in stacked.activations]

    def draw(self, steps: int) -> Tensor:
        """int32 (steps, layers, K, 2): what each member would draw alone."""
        shape = (steps, self._layers, 2)
        keys = [
            np.zeros(shape, np.uint32) if one is None else one.integers(2**32, size=shape, dtype=np.uint32)
            for one in self._generators
        ]
        return torch.from_numpy(np.stack(keys, axis=2).view(np.int32))

    def set(self, keys: Tensor) -> None:
        """Hands (layers, K, 2) keys to the layers."""
        for buffer, own in zip(self._buffers, keys, strict=True):
            buffer.copy_(own)


class _Recorded:
    """Calls a function of tensors on a GPU by replaying a CUDA graph of it: one launch, not hundreds."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._calls: dict[torch.Size, int] = {}
        self._graphs: dict[torch.Size, tuple[torch.cuda.CUDAGraph, list[Tensor]]] = {}

    def __call__(self, *inputs: Tensor) -> None:
        shape = inputs[0].shape
        calls = self._calls[shape] = self._calls.get(shape, 0) + 1
        if calls <= WARM_UP_STEPS:
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._function(*inputs)
            torch.cuda.current_stream().wait_stream(aside)
            return
        if shape not in self._graphs:
            places = [values.clone() for values in inputs]
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._function(*places)
            self._graphs[shape] = graph, places
        graph, places = self._graphs[shape]
        for place, values in zip(places, inputs, strict=True):
            place.copy_(values)
        graph.replay()


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in nats, (N, K), of (N, K, classes) logits."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)


def _owners(networks: Sequence[nn.Module], *, half: bool) -> Tensor:
    """The member that each of a stack's parameters belongs to, in the order of `Weights`: found by stacking networks
    whose parameters are their member's number."""
    numbered = [copy.deepcopy(network) for network in networks]
    for number, network in enumerate(numbered):
        for parameter in network.parameters():
            nn.init.constant_(parameter, number)
    return Weights(StackedNetwork(numbered), half=half).values.long()
