"""A network's parameters in one vector: a step casts, clears and updates them with one call each, not one per layer."""

import copy
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.train.fast.activation import Activation
from bench.train.fast.stacked import StackedActivation, StackedLinear, StackedNetwork

_MULTIPLY = (nn.Conv2d, nn.Linear, StackedLinear)

# Modules that take maps in whatever type they come and hand them on in it, or are one of _MULTIPLY.
_UNDERSTOOD = {
    *_MULTIPLY,
    Activation,
    StackedActivation,
    StackedNetwork,
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Flatten,
    nn.Identity,
    nn.MaxPool2d,
    nn.ReLU,
    nn.Sequential,
}


class Weights:
    """The parameters of `network` as `values`, float32 (P,), and their `gradient`; the layers' are views of both.

    With `half`, convolutions and linear layers compute in bfloat16 with a rounded copy of their share of the values,
    and their gradients are bfloat16 too. What else there is, and every update, stays in float32. `exact` is the network
    with the values as they are; without `half` the network itself. A step is `clear`, the backward pass, `gather`, an
    update of the values, `publish`.
    """

    def __init__(self, network: nn.Module, *, half: bool) -> None:
        multiplying = [module for module in network.modules() if half and isinstance(module, _MULTIPLY)]
        rounded = [parameter for module in multiplying for parameter in module.parameters(recurse=False)]
        known = set(map(id, rounded))
        exact = [parameter for parameter in network.parameters() if id(parameter) not in known]
        self.exact = copy.deepcopy(network) if half else network
        self.values = torch.cat([parameter.detach().flatten() for parameter in (*rounded, *exact)])
        self.gradient = torch.zeros_like(self.values)
        count = sum(parameter.numel() for parameter in rounded)
        self._masters, self._masters_gradient = self.values[:count], self.gradient[:count]
        self._copies = self._masters.bfloat16()
        self._copies_gradient = torch.zeros_like(self._copies)
        if half:
            places = dict(zip(map(id, (*rounded, *exact)), _views((*rounded, *exact), self.values), strict=True))
            for own, other in zip(network.parameters(), self.exact.parameters(), strict=True):
                other.requires_grad_(False)
                other.data = places[id(own)]
            for own_module, other_module in zip(network.modules(), self.exact.modules(), strict=True):
                other_module._buffers = own_module._buffers
        _lay(rounded, self._copies, self._copies_gradient)
        _lay(exact, self.values[count:], self.gradient[count:])

    def clear(self) -> None:
        """Sets the gradient to 0."""
        self.gradient.zero_()
        self._copies_gradient.zero_()

    def gather(self) -> None:
        """Brings the gradient of the rounded copies to `gradient`."""
        self._masters_gradient.copy_(self._copies_gradient)

    def publish(self) -> None:
        """Rounds the updated values for the layers that compute with copies."""
        self._copies.copy_(self._masters)


def can_round(network: nn.Module) -> bool:
    """Whether the network can compute with rounded copies of its weights: it consists of layers that are known to work
    in bfloat16 throughout, and no two of them share a parameter. What can't is for torch's autocast."""
    owners = Counter(id(parameter) for module in network.modules() for parameter in module.parameters(recurse=False))
    return all(type(module) in _UNDERSTOOD for module in network.modules()) and max(owners.values(), default=1) == 1


def _lay(parameters: Sequence[nn.Parameter], values: Tensor, gradients: Tensor) -> None:
    """Makes the parameters, one after the other, views of `values`, and their gradients of `gradients`."""
    views = zip(parameters, _views(parameters, values), _views(parameters, gradients), strict=True)
    for parameter, value, gradient in views:
        parameter.data = value
        parameter.grad = gradient


def _views(parameters: Sequence[nn.Parameter], values: Tensor) -> list[Tensor]:
    """Parts of a vector in the parameters' shapes, one after the other."""
    parts = values.split([parameter.numel() for parameter in parameters])
    return [part.view(parameter.shape) for parameter, part in zip(parameters, parts, strict=True)]
