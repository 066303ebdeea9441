"""A network's parameters in one vector: a step casts, clears and updates them with one call each, not one per layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Weights:
    """The parameters of `network` as `values`, float32 (P,), and their `gradient`; the layers' are views of both.

    With `half`, convolutions and linear layers compute in bfloat16 with a rounded copy of their share of the values,
    and their gradients are bfloat16 too. What else there is, and every update, stays in float32. A step is `clear`, the
    backward pass, `gather`, an update of the values, `publish`.
    """

    def __init__(self, network: nn.Module, *, half: bool) -> None:
        multiplying = [module for module in network.modules() if half and isinstance(module, nn.Conv2d | nn.Linear)]
        rounded = [parameter for module in multiplying for parameter in module.parameters(recurse=False)]
        known = set(map(id, rounded))
        exact = [parameter for parameter in network.parameters() if id(parameter) not in known]
        self.values = torch.cat([parameter.detach().flatten() for parameter in (*rounded, *exact)])
        self.gradient = torch.zeros_like(self.values)
        count = sum(parameter.numel() for parameter in rounded)
        self._masters, self._masters_gradient = self.values[:count], self.gradient[:count]
        self._copies = self._masters.bfloat16()
        self._copies_gradient = torch.zeros_like(self._copies)
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


def _lay(parameters: Sequence[nn.Parameter], values: Tensor, gradients: Tensor) -> None:
    """Makes the parameters, one after the other, views of `values`, and their gradients of `gradients`."""
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, value, gradient in zip(parameters, values.split(sizes), gradients.split(sizes), strict=True):
        shape = parameter.shape
        parameter.data = value.view(shape)
        parameter.grad = gradient.view(shape)
