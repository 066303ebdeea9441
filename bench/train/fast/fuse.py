"""Finds what can be computed faster in a network by looking at its modules."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeGuard

from torch import nn

from architectures.attention import ChannelAttention
from architectures.residual import Residual
from bench.train.fast.activation import WIDEST_POOL, Activation, has_hooks
from bench.train.fast.chain import Chain, Run
from bench.train.fast.room import Stage


def fuse(network: nn.Module, *, in_place: bool = True) -> nn.Module:
    """The network with each run of BatchNorm2d, ReLU, MaxPool2d and Dropout in a plain nn.Sequential, each but the ReLU
    only where it is there, as one `Activation`. Changes the network that it is given; the parameters stay the same
    objects, and whatever doesn't fit is left as it is.

    Sequentials that nothing but other sequentials calls hold the `Activation` in the run's place; without `in_place`
    none does. What a module of another kind holds it may also index or walk through: such a sequential keeps its
    modules and computes without them.
    """
    if _switched_off:
        return network
    called_only = set(map(id, _only_called(network))) if in_place else set()
    for module in list(network.modules()):
        if type(module) is nn.Sequential and not has_hooks(module):
            parts = dict(_fused(list(module._modules.items())))
            if id(module) not in called_only:
                FusedSequential.convert(module, list(parts.values()))
                continue
            for name in list(module._modules):
                del module._modules[name]
            for name, part in parts.items():
                module.add_module(name, part)
    _chain(network)
    return network


@contextmanager
def switched_off() -> Iterator[None]:
    """Within it `fuse` leaves networks as they are, in torch's own layers: what it is measured against."""
    _switched_off.append(True)
    try:
        yield
    finally:
        _switched_off.pop()


_switched_off: list[bool] = []


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


# Of wider convolutions torch's are as fast; for one alone, laying out its maps costs more than it saves.
_WIDEST = 64
_SHORTEST = 2


def _chain(network: nn.Module) -> None:
    """Has each outermost sequential that holds a run of convolutions compute by a `Chain`."""
    inside: set[int] = set()
    for module in network.modules():
        if type(module) not in _SEQUENTIAL or id(module) in inside or has_hooks(module):
            continue
        parts, watched = list(_flat(module)), []
        steps = list(_runs(parts))
        if any(isinstance(step, Run) for step in steps):
            watched = [part for part in module.modules() if part is not module]
            inside |= set(map(id, watched))
            # What nn.Module calls.
            module.forward = Chain(module, steps, watched)


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    """What a sequential computes by, its sequentials taken apart."""
    # A sequential computes by a module as often as it holds it; `children` names it once.
    held = (
        module._steps
        if isinstance(module, FusedSequential)
        else [part for part in module._modules.values() if part is not None]
    )
    for part in held:
        if type(part) in _SEQUENTIAL:
            yield from _flat(part)
        else:
            yield part


def _runs(parts: Sequence[nn.Module]) -> Iterator[nn.Module | Run]:
    """The parts, with runs of stages, long enough to be worth it, as one."""
    at = 0
    while at < len(parts):
        stages: list[Stage] = []
        first = at
        while (found := _stage(parts[at:])) is not None:
            stages.append(found[0])
            at += found[1]
        if len(stages) >= _SHORTEST:
            yield Run(stages)
            continue
        at = max(at, first + 1)
        yield from parts[first:at]


def _stage(parts: Sequence[nn.Module]) -> tuple[Stage, int] | None:
    """The stage that the parts begin with, and how many of them it is."""
    around = parts[0] if parts else None
    if type(around) is not Residual:
        return _block(parts)
    inside = list(_flat(around.block)) if type(around.block) in _SEQUENTIAL else [around.block]
    block = _block(inside)
    if block is None or block[1] < len(inside) or not _is_usual_shortcut(around, block[0].conv):
        return None
    return Stage(block[0].conv, block[0].activation, block[0].attention, around), 1


def _block(parts: Sequence[nn.Module]) -> tuple[Stage, int] | None:
    """As `_stage`, without a shortcut."""
    if not (parts and _is_usual_convolution(convolution := parts[0])):
        return None
    activation = attention = None
    length = 1
    if length < len(parts) and isinstance(after := parts[length], Activation):
        activation, length = after, length + 1
    if length < len(parts) and _is_usual_attention(after := parts[length]):
        attention, length = after, length + 1
    return Stage(convolution, activation, attention), length


def _is_usual_attention(layer: nn.Module) -> TypeGuard[ChannelAttention]:
    return isinstance(layer, ChannelAttention) and type(layer).forward is ChannelAttention.forward


def _is_usual_shortcut(layer: Residual, conv: nn.Conv2d) -> bool:
    return layer.crop >= 0 and 1 <= layer.pool <= WIDEST_POOL and conv.in_channels == conv.out_channels


def _is_usual_convolution(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return False
    (size, wide), (border, beside) = layer.kernel_size, layer.padding
    plain = (layer.stride, layer.dilation) == ((1, 1), (1, 1)) and size == wide and border == beside < size
    together = layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels
    return plain and together and max(layer.in_channels, layer.out_channels) <= _WIDEST


_SEQUENTIAL = (nn.Sequential, FusedSequential)


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
        fresh = at > 0 and type(children[at - 1][1]) is nn.Conv2d and not has_hooks(children[at - 1][1])
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
    if length == len(modules) or type(modules[length]) is not nn.ReLU or has_hooks(modules[length]):
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
        and not has_hooks(layer)
    )


def _is_usual_pool(layer: nn.Module) -> bool:
    if type(layer) is not nn.MaxPool2d or has_hooks(layer):
        return False
    width = layer.kernel_size
    plain = (layer.padding, layer.dilation, layer.ceil_mode, layer.return_indices) == (0, 1, False, False)
    return isinstance(width, int) and layer.stride == width and plain and width <= WIDEST_POOL


def _is_usual_dropout(layer: nn.Module) -> bool:
    return type(layer) is nn.Dropout and layer.p < 1 and not has_hooks(layer)
