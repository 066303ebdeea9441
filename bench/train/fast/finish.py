"""What follows a stage's `Activation`: channel attention, then a shortcut around the stage, forward and backward.

The kernels have the maps; of an attention they know the gates, which `attend` computes from a mean a map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from architectures.attention import ChannelAttention
from bench.train.fast.attend import Gates, gates_of
from bench.train.fast.gates import add_shortcut, finish, sums_of
from bench.train.fast.kernels import Matrix
from bench.train.fast.tiles import LANES


@dataclass(frozen=True, slots=True)
class Finish:
    """The memory that this needs in a room.

    - `maps` are what the activation wrote, `out` what the next stage reads, with its `border`; `gradient` is with
      respect to `out` without its border, `on_maps` that of `maps`: the same memory where there is no attention.
    - `src` is what the stage reads, with a border of `beyond`, `to_src` the gradient of that without its border.
    - `pool` is the width of the shortcut's max pool, 0 where there is no shortcut, `crop` what it cuts off before, and
      `where` the place of a window's maximum.
    """

    maps: Matrix
    on_maps: Matrix
    out: Matrix
    border: int
    gradient: Matrix
    src: Matrix
    beyond: int
    to_src: Matrix
    crop: int
    pool: int
    where: Matrix

    def forward(self, attention: ChannelAttention | None, parameters: Sequence[Tensor], images: int) -> Gates | None:
        """From `maps` to `out`; the gates that `backward` needs. `parameters` are the attention's."""
        gates = None
        if attention is not None:
            means = np.empty((images, self.maps.shape[1]), np.float32)
            sums_of(self.maps, _NO_MAPS, means)
            means /= self._pixels
            gates = gates_of(attention, parameters, means)
        inside = self.beyond + self.crop
        factors = _NOTHING if gates is None else gates.array
        finish(self.maps, factors, _NOTHING, self.src, inside, self.pool, self.where, self.out, self.border)
        return gates

    def back_to_maps(self, gates: Gates) -> list[Tensor | None]:
        """From `gradient` to `on_maps`; the gradients of the attention's parameters."""
        on_gates = np.empty(gates.array.shape, np.float32)
        sums_of(self.gradient, self.maps, on_gates)
        on_means, found = gates.gradients(on_gates)
        each = on_means / self._pixels
        finish(self.gradient, gates.array, each, self.src, 0, 0, self.where, self.on_maps, 0)
        return found

    def back_to_src(self) -> None:
        """Adds the shortcut's part to `to_src`, which the stage has written."""
        if self.pool:
            add_shortcut(self.gradient, self.where, self.crop, self.pool, self.to_src)

    @property
    def _pixels(self) -> int:
        """Of a map."""
        return int(self.maps.shape[2] * (self.maps.shape[3] // LANES))


_NOTHING = np.empty((0, 0), np.float32)
_NO_MAPS = np.empty((0, 0, 0, 0), np.float32)
