"""The gates of channel attention, from a mean a map: of the kinds that are known in a few numpy calls, of any other as
a small graph of torch's own, which takes ten times as long."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from architectures.attention import ChannelAttention, EfficientChannelAttention, SqueezeExcitation
from bench.train.fast.kernels import Matrix


class Gates(Protocol):
    """The gates of a pass, (N, C) float32. A pass may be gone through again."""

    array: Matrix

    def gradients(self, on_gates: Matrix) -> tuple[Matrix, list[Tensor | None]]:
        """Those of the (N, C) means and of the attention's parameters, from the (N, C) one of the gates."""


def gates_of(attention: ChannelAttention, parameters: Sequence[Tensor], means: Matrix) -> Gates:
    """The gates for (N, C) float32 means. `parameters` are the attention's."""
    if not is_known(attention, parameters):
        return _Graph(attention, parameters, means)
    arrays = [parameter.detach().numpy() for parameter in parameters]
    return _Squeezed(means, *arrays) if isinstance(attention, SqueezeExcitation) else _Convolved(means, *arrays)


def is_known(attention: ChannelAttention, parameters: Sequence[Tensor]) -> bool:
    """Whether its gates are computed without it: then each image's depend on that image alone."""
    usual = _is_usual_squeeze(attention) or _is_usual_efficient(attention)
    return usual and all(parameter.dtype == torch.float32 for parameter in parameters)


def matrix_of(tensor: Tensor) -> Matrix:
    """As float32 in torch's usual order."""
    return tensor.detach().float().contiguous().numpy()


class _Squeezed:
    """Those of `SqueezeExcitation`."""

    def __init__(self, means: Matrix, squeeze: Matrix, squeeze_bias: Matrix, excite: Matrix, bias: Matrix) -> None:
        self._means, self._squeeze, self._excite = means, squeeze.copy(), excite.copy()
        self._hidden = np.maximum(means @ squeeze.T + squeeze_bias, 0)
        self.array = _sigmoid(self._hidden @ excite.T + bias)

    def gradients(self, on_gates: Matrix) -> tuple[Matrix, list[Tensor | None]]:
        on_excited = on_gates * self.array * (1 - self.array)
        on_hidden = (on_excited @ self._excite) * (self._hidden > 0)
        each = on_hidden.T @ self._means, on_hidden.sum(0), on_excited.T @ self._hidden, on_excited.sum(0)
        return on_hidden @ self._squeeze, [torch.from_numpy(gradient) for gradient in each]


class _Convolved:
    """Those of `EfficientChannelAttention`."""

    def __init__(self, means: Matrix, weight: Matrix) -> None:
        self._weight = weight.ravel().copy()
        self._windows = _windows(means, len(self._weight))
        self.array = _sigmoid(_weighted(self._windows, self._weight))

    def gradients(self, on_gates: Matrix) -> tuple[Matrix, list[Tensor | None]]:
        on_sums = on_gates * self.array * (1 - self.array)
        on_weight = np.array([np.vdot(on_sums, window) for window in self._windows], np.float32)
        on_means = _weighted(_windows(on_sums, len(self._weight)), self._weight[::-1])
        return on_means, [torch.from_numpy(on_weight.reshape(1, 1, -1))]


class _Graph:
    """Those of any other."""

    def __init__(self, attention: ChannelAttention, parameters: Sequence[Tensor], means: Matrix) -> None:
        learns = attention.training
        self._parameters = parameters
        self._means = torch.from_numpy(means).requires_grad_(learns)
        with torch.set_grad_enabled(learns):
            self._gates = attention.gates(self._means).expand(*means.shape, 1, 1)
        self.array = matrix_of(self._gates.flatten(1))

    def gradients(self, on_gates: Matrix) -> tuple[Matrix, list[Tensor | None]]:
        asked = [parameter for parameter in self._parameters if parameter.requires_grad]
        if not self._gates.requires_grad:
            return np.zeros_like(on_gates), [None] * len(self._parameters)
        towards = torch.from_numpy(on_gates).view(self._gates.shape)
        on_means, *found = torch.autograd.grad(
            self._gates, [self._means, *asked], towards, retain_graph=True, allow_unused=True
        )
        each = iter(found)
        on_parameters = [next(each) if parameter.requires_grad else None for parameter in self._parameters]
        return np.zeros_like(on_gates) if on_means is None else matrix_of(on_means), on_parameters


def _is_usual_squeeze(attention: ChannelAttention) -> bool:
    if type(attention) is not SqueezeExcitation:
        return False
    layers = (attention.squeeze, attention.excite)
    usual = all(type(layer) is nn.Linear and layer.bias is not None for layer in layers)
    return usual and type(attention.relu) is nn.ReLU and type(attention.sigmoid) is nn.Sigmoid


def _is_usual_efficient(attention: ChannelAttention) -> bool:
    if type(attention) is not EfficientChannelAttention or type(attention.sigmoid) is not nn.Sigmoid:
        return False
    conv = attention.conv
    return type(conv) is nn.Conv1d and (conv.kernel_size, conv.padding, conv.bias) == ((3,), (1,), None)


def _windows(values: Matrix, size: int) -> list[Matrix]:
    """(N, C) values for each tap of a kernel: what it reads at every channel."""
    images, channels = values.shape
    padded = np.zeros((images, channels + size - 1), np.float32)
    padded[:, size // 2 : size // 2 + channels] = values
    return [padded[:, tap : tap + channels] for tap in range(size)]


def _weighted(windows: Sequence[Matrix], weight: Matrix) -> Matrix:
    """What a kernel makes of them, (N, C)."""
    total = np.zeros_like(windows[0])
    for factor, window in zip(weight, windows, strict=True):
        total += factor * window
    return total


def _sigmoid(values: Matrix) -> Matrix:
    with np.errstate(over="ignore"):  # infinity, of which 0 is right
        gates: Matrix = 1 / (1 + np.exp(-values))
    return gates
