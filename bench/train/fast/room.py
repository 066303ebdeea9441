"""A convolution with what follows it, and the memory for a pass forward and backward through a run of such."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from architectures.attention import ChannelAttention
from architectures.residual import Residual
from bench.train.fast.activation import Activation
from bench.train.fast.finish import Finish
from bench.train.fast.kernels import Matrix
from bench.train.fast.tiles import LANES, OUTPUTS, WIDE


class Stage:
    """A convolution (square, without strides) and the `Activation` and the attention that follow it, if they do.

    `size` is that of its kernel, `border` the rows and columns of zeros around what it reads, `pool` the width of its
    max pool, 1 for none. `is_apart` says that each channel is convolved by itself. `residual`, where there is one,
    computes all of it and adds a shortcut.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        activation: Activation | None,
        attention: ChannelAttention | None = None,
        residual: Residual | None = None,
    ) -> None:
        self.conv = conv
        self.activation = activation
        self.attention = attention
        self.residual = residual
        self.norm = None if activation is None else activation.norm
        self.pool = 1 if activation is None else activation.pool
        self.size = int(conv.kernel_size[0])
        self.is_apart = conv.groups > 1
        self.border = cast(tuple[int, int], conv.padding)[0]

    @property
    def modules(self) -> list[nn.Module]:
        """What computes the stage one after the other."""
        if self.residual is not None:
            return [self.residual]
        return [module for module in (self.conv, self.activation, self.attention) if module is not None]

    @property
    def learns(self) -> bool | None:
        """Whether all of its modules are in training; None where some are and others aren't."""
        modes = {part.training for part in (self.conv, self.activation, self.norm, self.attention) if part is not None}
        return modes.pop() if len(modes) == 1 else None

    @property
    def is_plain(self) -> bool:
        """Whether it has neither attention nor a shortcut."""
        return self.attention is None and self.residual is None

    @property
    def parameters(self) -> list[Tensor]:
        """Weight and bias of the convolution and of batch norm, those that there are."""
        return [parameter for parameter in self._four if parameter is not None]

    @property
    def there(self) -> list[bool]:
        """Which of the four there are."""
        return [parameter is not None for parameter in self._four]

    @property
    def _four(self) -> tuple[Tensor | None, ...]:
        norm = (None, None) if self.norm is None else (self.norm.weight, self.norm.bias)
        return self.conv.weight, self.conv.bias, *norm

    def shrinks(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of what comes out for an image of so many; 0 or less where nothing does."""
        less = 2 * self.border - self.size + 1
        return (height + less) // self.pool, (width + less) // self.pool

    def adds_up(self, height: int, width: int) -> bool:
        """Whether the shortcut, if there is one, has as many rows and columns as what it is added to."""
        if self.residual is None:
            return True
        less, pool = 2 * self.residual.crop, self.residual.pool
        return ((height - less) // pool, (width - less) // pool) == self.shrinks(height, width)


@dataclass(frozen=True, slots=True)
class Place:
    """What one stage reads first and writes last, and the arguments of `direct.forward` and `direct.backward`, in their
    order, that are the same at every pass; `finish` is None for a plain stage."""

    src: Matrix
    to_src: Matrix
    forward: tuple[Any, ...]
    backward: tuple[Any, ...]
    finish: Finish | None


class Room:
    """A `Place` for each stage, `out` for what comes out of the last, and `on_out` for the gradient of that.

    For `images` of (N, C, H, W); with `pairs` words are pairs of bfloat16. `parameters` are float32 copies for the
    stages' own to be written to. Borders are zeros and stay so: a room can be used again as it is.
    """

    def __init__(self, stages: Sequence[Stage], images: Sequence[int], *, pairs: bool) -> None:
        count, _, height, width = images
        self.holds_pairs = pairs
        self._count = count
        self._apiece = 2 if pairs else 1
        self._word: Any = np.uint32 if pairs else np.float32
        self._blocks = -(-count // (LANES * self._apiece)) * self._apiece
        self._shared: dict[str, Matrix] = {}
        parameters = [parameter for stage in stages for parameter in stage.parameters]
        self._sizes = [parameter.numel() for parameter in parameters]
        self._gradient = torch.zeros(sum(self._sizes))
        self.parameters = [torch.empty(parameter.shape) for parameter in parameters]
        sizes = [(height, width)]
        for stage in stages:
            sizes.append(stage.shrinks(*sizes[-1]))
        srcs = [self._src(stage, *size) for stage, size in zip(stages, sizes, strict=False)]
        height, width = sizes[-1]
        channels = stages[-1].conv.out_channels
        self.shape = (count, channels, height, width)
        self.out = self._words(channels, height, width, self._blocks)
        self.on_out = np.zeros((self._blocks, channels, height, width * LANES), np.float32)
        borders = [*(stage.border for stage in stages[1:]), 0]
        outs = list(zip([*srcs[1:], self.out], borders, strict=True))
        copies = [copy.numpy() for copy in self.parameters]
        parts = self._gradient.split(self._sizes)
        found = [part.view(parameter.shape).numpy() for part, parameter in zip(parts, parameters, strict=True)]
        self.places: list[Place] = []
        gradient = self.on_out
        for number in reversed(range(len(stages))):
            arrays = [
                [arrays.pop() if there else _NOTHING for there in reversed(stages[number].there)][::-1]
                for arrays in (copies, found)
            ]
            place = self._place(stages[number], number, sizes[number], srcs[number], outs[number], gradient, *arrays)
            self.places.insert(0, place)
            gradient = place.to_src

    def gradients(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Those of the stages' parameters that a pass has found, in memory of their own and of the parameters' type."""
        kinds = {parameter.dtype for parameter in parameters}
        parts = {kind: self._gradient.to(kind, copy=True).split(self._sizes) for kind in kinds}
        return [parts[like.dtype][number].view(like.shape) for number, like in enumerate(parameters)]

    def _words(self, channels: int, rows: int, columns: int, blocks: int) -> Matrix:
        return np.zeros((blocks, -(-channels // self._apiece), rows, columns * LANES), self._word)

    def _src(self, stage: Stage, height: int, width: int) -> Matrix:
        return self._words(stage.conv.in_channels, height + 2 * stage.border, width + 2 * stage.border, self._blocks)

    def _place(
        self,
        stage: Stage,
        number: int,
        size: tuple[int, int],
        src: Matrix,
        out: tuple[Matrix, int],
        gradient: Matrix,
        parameters: Sequence[Matrix],
        found: Sequence[Matrix],
    ) -> Place:
        (height, width), (below, beside) = size, stage.shrinks(*size)
        inputs, outputs, taps = stage.conv.in_channels, stage.conv.out_channels, stage.size**2
        around = stage.size - 1 - stage.border
        high, wide = height - around + stage.border, width - around + stage.border
        # Tiles write all their channels.
        written, read = _whole_tiles(inputs), _whole_tiles(outputs)
        normed = stage.norm is not None
        # Nothing reads the maps again but batch norm, which needs all of them.
        maps_shape = (self._blocks if normed else 1, read, high, wide * LANES)
        maps = np.empty(maps_shape, np.float32) if normed else self._share("maps", maps_shape, np.float32)
        statistics = np.empty((2, outputs if normed else 0))
        where = np.empty((self._blocks, outputs, below, beside * LANES * (stage.pool > 1)), np.uint8)
        on_maps = self._words(read, high + 2 * around, wide + 2 * around, self._apiece)
        # The gradient of one stage's input is read while that of the stage before is written.
        to_src = self._share(f"to_src{number % 2}", (self._blocks, written, height, width * LANES), np.float32)
        weight, bias, norm_weight, norm_bias = parameters
        in_words, out_words = -(-inputs // self._apiece), -(-outputs // self._apiece)
        # Only what goes over all channels is computed in tiles.
        tiles = (0, 0) if stage.is_apart else (read // OUTPUTS, written // OUTPUTS)
        packed = np.empty((tiles[0], in_words * taps, OUTPUTS), self._word)
        turned = np.empty((tiles[1], out_words * taps, OUTPUTS), self._word)
        finish = None
        if not stage.is_plain:
            finish = self._finish(stage, (below, beside), src, out, gradient, to_src)
            out, gradient = (finish.maps, 0), finish.on_maps
        doing = (statistics, stage.activation is not None, stage.pool, where, *out)
        pair = 2 * (self._apiece - 1)
        kind = (self._count, stage.is_apart)
        return Place(
            src,
            to_src,
            (*kind, src, weight, bias, packed, maps, *doing, norm_weight, norm_bias),
            (
                *(*kind, gradient, src, weight, turned, maps, *doing, norm_weight, on_maps, around),
                self._share("src", (pair * in_words, *src.shape[2:]), self._word),
                self._share("on_maps", (pair // 2 * read, *on_maps.shape[2:]), self._word),
                np.empty((tiles[0], -(-inputs * taps // WIDE), OUTPUTS, WIDE, LANES), np.float32),
                to_src,
                *found,
            ),
            finish,
        )

    def _finish(
        self,
        stage: Stage,
        size: tuple[int, int],
        src: Matrix,
        out: tuple[Matrix, int],
        gradient: Matrix,
        to_src: Matrix,
    ) -> Finish:
        rows, columns = size
        maps = np.empty((self._blocks, stage.conv.out_channels, rows, columns * LANES), np.float32)
        crop, pool = (0, 0) if stage.residual is None else (stage.residual.crop, stage.residual.pool)
        where = np.empty((*maps.shape[:3], maps.shape[3] * (pool > 1)), np.uint8)
        on_maps = gradient if stage.attention is None else self._share("finished", maps.shape, np.float32)
        return Finish(maps, on_maps, *out, gradient, src, stage.border, to_src, crop, pool, where)

    def _share(self, name: str, shape: tuple[int, ...], kind: Any) -> Matrix:
        """Memory that holds nothing from one stage to the next."""
        needed = int(np.prod(shape))
        if name not in self._shared or len(self._shared[name]) < needed:
            # Stages that were given a smaller piece keep theirs.
            self._shared[name] = np.empty(needed, kind)
        return self._shared[name][:needed].reshape(shape)


_NOTHING = np.empty(0, np.float32)


def _whole_tiles(channels: int) -> int:
    return -(-channels // OUTPUTS) * OUTPUTS
