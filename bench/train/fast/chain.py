"""Runs of convolutions in a network, each with its `Activation`, attention and shortcut, computed with the images
innermost (see `direct`)."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bench.train.fast import direct, laying
from bench.train.fast.activation import BITS, Activation, has_hooks
from bench.train.fast.attend import Gates, is_known, matrix_of
from bench.train.fast.kernels import Matrix
from bench.train.fast.room import Room, Stage
from bench.train.fast.tiles import KNOWN, KNOWN_PAIRS

# Rooms for so many shapes of batches are kept: usually the last batch of an epoch is smaller than the others, and
# networks are measured on a few images at a time.
_MOST_ROOMS = 4

# Images at a time where networks are measured.
_FEW = 32


class Chain:
    """Computes in place of a sequential's own `forward`: each run of stages in one pass with the images innermost, and
    the modules between these as they are.

    The sequential keeps its kind, its modules and its parameters, and computes by itself where somebody looks into it
    (hooks) and where it doesn't train and yet may be asked for gradients. Results differ by rounding alone: the same
    values are dropped.
    """

    def __init__(self, module: nn.Module, steps: "Sequence[nn.Module | Run]", watched: Sequence[nn.Module]) -> None:
        self._module = module
        self._steps = tuple(steps)
        self._watched = tuple(watched)

    def __call__(self, maps: Any) -> Any:
        """As `nn.Sequential.forward`."""
        asked = torch.is_grad_enabled() and not self._module.training
        if asked or any(map(has_hooks, self._watched)):
            return type(self._module).forward(self._module, maps)
        for step in self._steps:
            maps = step(maps)
        return maps


class Run:
    """Stages one after the other. What they can't do at once, their modules do one by one."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self._rooms: dict[tuple[tuple[int, ...], bool], list[Room]] = {}

    def __call__(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps through all stages."""
        pairs, attended = self._pairs(maps), self._attended()
        if pairs is not None and not self.learns and not torch.is_grad_enabled():
            return self._measured(maps, pairs, attended)
        if pairs is not None and self.learns and not any(map(_is_watched, chain(*attended))):
            return cast(Tensor, _Pass.apply(maps, self, pairs, attended, *self._parameters(), *chain(*attended)))
        for stage in self.stages:
            for module in stage.modules:
                maps = module(maps)
        return maps

    def _measured(self, maps: Tensor, pairs: bool, attended: Sequence[Sequence[Tensor]]) -> Tensor:
        """A few images at a time, where none depends on another: what one stage writes is still near when the next
        reads it."""
        attentions = [stage.attention for stage in self.stages]
        apart = all(one is None or is_known(one, its) for one, its in zip(attentions, attended, strict=True))
        few = min(_FEW, len(maps)) if apart else len(maps)
        lease = self.lend((few, *maps.shape[1:]), pairs=pairs)
        parameters = self._parameters()
        return torch.cat([_forward(self, lease.room, part, parameters, attended)[0] for part in maps.split(few)])

    def lend(self, shape: Sequence[int], *, pairs: bool) -> "_Lease":
        """A room that nobody else uses."""
        key = (tuple(shape), pairs)
        if key not in self._rooms and len(self._rooms) >= _MOST_ROOMS:
            del self._rooms[next(iter(self._rooms))]
        free = self._rooms.setdefault(key, [])
        if free:
            return _Lease(free.pop(), free)
        # First asked for in inference mode, its tensors could else never be written to outside of it.
        with torch.inference_mode(False):
            return _Lease(Room(self.stages, shape, pairs=pairs), free)

    @property
    def learns(self) -> bool:
        """Whether it is in training; if some modules are and others aren't, `_let_through` says no."""
        return self.stages[0].conv.training

    def _pairs(self, maps: Tensor) -> bool | None:
        """Whether to compute with pairs of bfloat16; None where the stages' modules must compute."""
        known_pairs = KNOWN_PAIRS and all(stage.is_plain for stage in self.stages)
        if not (maps.device.type == "cpu" and maps.ndim == 4 and maps.numel() and self._let_through(maps.shape)):
            return None
        kinds = {maps.dtype, *(stage.conv.weight.dtype for stage in self.stages)}
        if kinds == {torch.bfloat16}:
            return True if known_pairs else None
        if kinds != {torch.float32}:
            return None
        if not torch.is_autocast_enabled("cpu"):
            return False if KNOWN else None
        return True if known_pairs and torch.get_autocast_dtype("cpu") == torch.bfloat16 else None

    def _let_through(self, shape: Sequence[int]) -> bool:
        """Whether maps of this shape get through, and every module is as kernels know it: all of them in training, or
        none."""
        count, channels, height, width = shape
        if channels != self.stages[0].conv.in_channels:
            return False
        for stage in self.stages:
            above = height + 2 * stage.border - stage.size + 1, width + 2 * stage.border - stage.size + 1
            adds_up = stage.adds_up(height, width)
            height, width = stage.shrinks(height, width)
            if not adds_up or min(height, width) < 1:
                return False
            if stage.learns != self.learns:
                return False
            if stage.learns and stage.norm is not None and count * above[0] * above[1] < 2:
                return False
            if stage.activation is not None and stage.activation.rate >= 1:
                return False
        return True

    def _parameters(self) -> list[Tensor]:
        return [parameter for stage in self.stages for parameter in stage.parameters]

    def _attended(self) -> list[list[Tensor]]:
        """The parameters of each stage's attention."""
        return [[] if stage.attention is None else list(stage.attention.parameters()) for stage in self.stages]

    def __getstate__(self) -> dict[str, Any]:
        return {"stages": self.stages, "_rooms": {}}


class _Lease:
    """A room until nobody holds this any more: a graph that needs it may live as long as it likes."""

    def __init__(self, room: Room, free: list[Room]) -> None:
        self.room = room
        self._free = free

    def __del__(self) -> None:
        self._free.append(self.room)


class _Pass(Function):
    """All stages of a run, and their gradients."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, run: Run, pairs: bool, attended: Sequence[Sequence[Tensor]], *parameters: Tensor
    ) -> Tensor:
        ctx.lease = run.lend(maps.shape, pairs=pairs)
        room: Room = ctx.lease.room
        parameters = parameters[: len(room.parameters)]
        result, ctx.passed = _forward(run, room, maps, parameters, attended)
        ctx.shape, ctx.dtype = maps.shape, maps.dtype
        ctx.save_for_backward(*parameters)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        room: Room = ctx.lease.room
        laying.lay_maps(matrix_of(gradient), room.on_out)
        for_maps = ctx.needs_input_grad[0]
        on_attended: list[Tensor | None] = []
        for number, (scale, gates) in reversed(list(enumerate(ctx.passed))):
            place, asked = room.places[number], number > 0 or for_maps
            if place.finish is not None and gates is not None:
                on_attended = place.finish.back_to_maps(gates) + on_attended
            direct.backward(*place.backward, scale, asked)
            if place.finish is not None and asked:
                place.finish.back_to_src()
        to_maps = None
        if for_maps:
            found = torch.empty(ctx.shape)
            laying.picked_up(room.places[0].to_src, found.numpy())
            to_maps = found.to(ctx.dtype)
        return to_maps, None, None, None, *room.gradients(ctx.saved_tensors), *on_attended


def _forward(
    run: Run, room: Room, maps: Tensor, parameters: Sequence[Tensor], attended: Sequence[Sequence[Tensor]]
) -> tuple[Tensor, list[tuple[np.float32, Gates | None]]]:
    """(N, C, H, W) maps through all stages, in training as many as the room is for, else no more; and of each stage
    what its dropout scales by, and its attention's gates."""
    laying.lay(matrix_of(maps), room.places[0].src, run.stages[0].border)
    torch._foreach_copy_(room.parameters, [parameter.detach() for parameter in parameters])
    learns = run.learns
    if learns and (counts := [cast(Tensor, stage.norm.num_batches_tracked) for stage in run.stages if stage.norm]):
        torch._foreach_add_(counts, 1)
    passed: list[tuple[np.float32, Gates | None]] = []
    for stage, place, its in zip(run.stages, room.places, attended, strict=True):
        drops = _drops(stage.activation)
        direct.forward(*place.forward, *_running(stage.norm), learns, *drops)
        gates = None if place.finish is None else place.finish.forward(stage.attention, its, len(maps))
        passed.append((drops[0], gates))
    result = torch.empty(len(maps), *room.shape[1:])
    laying.picked_up(room.out, result.numpy())
    return (result.bfloat16() if room.holds_pairs else result), passed


_NOTHING = np.empty(0, np.float32)
_NO_BATCH_NORM = (_NOTHING, _NOTHING, 0.0, 0.0)
_NO_DROPS = (np.float32(1), np.uint32(0), np.zeros(2, np.uint32))


def _is_watched(parameter: Tensor) -> bool:
    """Whether a hook would see the gradient of a part of a pass, and then that of the whole."""
    return bool(parameter._backward_hooks)


def _running(norm: nn.BatchNorm2d | None) -> tuple[Matrix, Matrix, float, float]:
    """Mean, variance, momentum and epsilon."""
    if norm is None:
        return _NO_BATCH_NORM
    mean, var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    return mean.numpy(), var.numpy(), cast(float, norm.momentum), norm.eps


def _drops(activation: Activation | None) -> tuple[np.float32, np.uint32, Matrix]:
    """What is kept is scaled by, the threshold below which nothing is, and the keys."""
    keys = None if activation is None else activation.draw_keys()
    if activation is None or keys is None:
        return _NO_DROPS
    return np.float32(1 / (1 - activation.rate)), np.uint32(round(activation.rate * BITS)), keys
