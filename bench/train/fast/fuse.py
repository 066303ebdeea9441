"""Finds what can be computed faster in a network by looking at its modules."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

from torch import nn

from bench.train.fast.activation import WIDEST_POOL, Activation


def fuse(network: nn.Module, *, in_place: bool = True) -> nn.Module:
    """The network with each run of BatchNorm2d, ReLU, MaxPool2d and Dropout in a plain nn.Sequential, each but the ReLU
    only where it is there, as one `Activation`. Changes the network that it is given; the parameters stay the same
    objects, and whatever doesn't fit is left as it is.

    Sequentials that nothing but other sequentials calls hold the `Activation` in the run's place; without `in_place`
    none does. What a module of another kind holds it may also index or walk through: such a sequential keeps its
    modules and computes without them.
    """
    called_only = set(map(id, _only_called(network))) if in_place else set()
    for module in list(network.modules()):
        if type(module) is nn.Sequential and not _has_hooks(module):
            parts = dict(_fused(list(module._modules.items())))
            if id(module) not in called_only:
                FusedSequential.convert(module, list(parts.values()))
                continue
            for name in list(module._modules):
                del module._modules[name]
            for name, part in parts.items():
                module.add_module(name, part)
    return network


class FusedSequential(nn.Sequential):
    """A sequential that computes by other steps than the modules that it holds and shows."""

    _steps: tuple[nn.Module, ...]

    @staticmethod
    def convert(module: nn.Sequential, steps: Sequence[nn.Module]) -> None:
        """Makes a plain sequential compute by `steps`, where they aren't its modules."""
        if any(isinstance(step, Activation) for step in steps):
            module.__class__ = FusedSequential
            module._steps = tuple(steps)  # type: ignore[assignment]  # a tuple isn't registered

    def forward(self, input: Any) -> Any:  # noqa: A002  # torch's name
        """As nn.Sequential."""
        for step in self._steps:
            input = step(input)  # noqa: A001
        return input

    def named_modules(
        self, memo: set[nn.Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        """Its modules, and the steps that stand in for some."""
        memo = set() if memo is None else memo
        known = self in memo
        yield from super().named_modules(memo, prefix, remove_duplicate)
        for number, step in enumerate(() if known else self._steps):
            if isinstance(step, Activation):
                yield f"{prefix}.step{number}".lstrip("."), step

    def train(self, mode: bool = True) -> Self:
        """As nn.Module."""
        for step in self._steps:
            step.train(mode)
        return super().train(mode)


def _only_called(network: nn.Module) -> Iterator[nn.Module]:
    """The plain sequentials that are the network, or that stand in one of these."""
    if type(network) is nn.Sequential:
        yield network
        for child in network.children():
            yield from _only_called(child)


def _fused(children: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, nn.Module]]:
    """The children of a sequential, runs of them as one, each under the name of its first."""
    at = 0
    while at < len(children):
        # Nobody else reads what a convolution of the same sequential wrote.
        fresh = at > 0 and type(children[at - 1][1]) is nn.Conv2d and not _has_hooks(children[at - 1][1])
        run = _run([module for _, module in children[at:]], inplace=fresh)
        if run is None:
            yield children[at]
            at += 1
        else:
            activation, length = run
            yield children[at][0], activation
            at += length


def _run(modules: Sequence[nn.Module], *, inplace: bool) -> tuple[Activation, int] | None:
    """The layer that a run at the beginning of `modules` becomes, and how many modules it takes the place of."""
    norm = pool = dropout = None
    length = 0
    if isinstance(modules[0], nn.BatchNorm2d) and _is_usual_norm(modules[0]):
        norm, length = modules[0], 1
    if length == len(modules) or type(modules[length]) is not nn.ReLU or _has_hooks(modules[length]):
        return None
    length += 1
    if length < len(modules) and isinstance(modules[length], nn.MaxPool2d) and _is_usual_pool(modules[length]):
        pool, length = modules[length], length + 1
    if length < len(modules) and isinstance(modules[length], nn.Dropout) and _is_usual_dropout(modules[length]):
        dropout, length = modules[length], length + 1
    width = int(pool.kernel_size) if isinstance(pool, nn.MaxPool2d) else 1  # type: ignore[arg-type]  # checked
    rate = dropout.p if isinstance(dropout, nn.Dropout) else 0.0
    activation = Activation(norm, pool=width, dropout=rate, inplace=inplace)
    if isinstance(dropout, nn.Dropout):
        activation.follow(dropout)
    return activation, length


def _is_usual_norm(layer: nn.Module) -> bool:
    return (
        type(layer) is nn.BatchNorm2d
        and layer.affine
        and layer.track_running_stats
        and layer.momentum is not None
        and not _has_hooks(layer)
    )


def _is_usual_pool(layer: nn.Module) -> bool:
    if type(layer) is not nn.MaxPool2d or _has_hooks(layer):
        return False
    width = layer.kernel_size
    plain = (layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices) == (0, 1, False, False)
    return isinstance(width, int) and layer.stride == width and plain and width <= WIDEST_POOL


def _is_usual_dropout(layer: nn.Module) -> bool:
    return type(layer) is nn.Dropout and layer.p < 1 and not _has_hooks(layer)


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)
