"""Receptive fields without a closed form, measured: what of the image has a part in one position of a layer's output.

That is where the gradient with respect to the image isn't zero. So that nothing hides or cancels a part, weights are
random and positive, activations, norms and dropout pass everything on, and pools take means in place of maxima.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.train.calls import ACTIVATIONS, DROPOUTS, NORMS
from bench.train.follow import Follow
from bench.train.sight import Measured, Sight, Whole

# Of what little else could pass some pixels only, two images show more than one.
_IMAGES = 2

# A map's dimensions: images, channels, height, width.
_MAP = 4


def positive_weights(
    network: nn.Module, input_shape: Sequence[int], dtype: torch.dtype
) -> tuple[Tensor, dict[str, Tensor]]:
    """Random images, a leaf that requires a gradient, and positive weights, by name, that a layer's result is about as
    large with as what it is given; buffers are the network's. Draws from a generator of its own."""
    generator = torch.Generator().manual_seed(0)

    def around_1(tensor: Tensor) -> Tensor:
        drawn = torch.rand(tensor.shape, generator=generator, dtype=dtype).add_(0.5)
        return drawn.to(tensor.device)

    weights = {
        name: around_1(tensor).div_(max(math.prod(tensor.shape[1:]), 1)) if tensor.is_floating_point() else tensor
        for name, tensor in network.named_parameters()
    }
    buffers = {
        name: tensor.to(dtype, copy=True) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in network.named_buffers()
    }
    device = next(iter(weights.values())).device if weights else torch.device("cpu")
    images = around_1(torch.empty(_IMAGES, *input_shape, device=device)).requires_grad_()
    return images, {**weights, **buffers}


class PositiveFollow(Follow):
    """Follows a forward pass that passes on what is there of every pixel."""

    def call(self, name: str, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The function's result, or that of one that sees the same and hides nothing."""
        if name in _PASSING:
            given = args[0] if args else kwargs["input"]
            return given.clone()
        other = _OTHERS.get(name)
        result = other(*args, **kwargs) if other is not None else None
        return func(*args, **kwargs) if result is None else result


class Measuring:
    """Measures sights in the order in which they came to be, with the images that require a gradient.

    What is made of something that sees the whole image sees it too, so that no gradient is needed behind attention.
    """

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self._sides: dict[Measured, int | None] = {}

    def side(self, sight: Measured) -> int | None:
        """The larger side in pixels of what the middle position sees; None where that reaches the image's border."""
        if sight not in self._sides:
            self._sides[sight] = None if self._sees_all(sight) else self._measured(sight)
        return self._sides[sight]

    def _sees_all(self, sight: Measured) -> bool:
        waiting: list[Sight] = [*sight.parents]
        met: set[Measured] = set()
        while waiting:
            parent = waiting.pop()
            if parent is Whole.IMAGE:
                return True
            if isinstance(parent, Measured) and parent not in met:
                met.add(parent)
                # Where positions stand in more dimensions than a map has is anybody's guess.
                if parent in self._sides and self._sides[parent] is None and len(parent.shape) <= _MAP:
                    return True
                waiting += parent.parents
        return False

    def _measured(self, sight: Measured) -> int | None:
        images = self._images
        for seed in _seeds(sight.shape, images):
            [gradient] = torch.autograd.grad([sight.edge], [images], [seed], retain_graph=True, allow_unused=True)
            if gradient is None:
                return 0
            if not gradient.isfinite().all():
                return None
            side = _side(gradient.abs().sum((0, 1)) != 0)
            if side is not None:
                return side
        return None


def _seeds(shape: Sequence[int], images: Tensor) -> Iterator[Tensor]:
    """Ones at the middle position, for each place that positions may have among the dimensions, the likeliest first: of
    (N, C, H, W), (N, H, W, C), (N, T, C) and (N, C, T) one sees less than the others."""
    known: dict[int, list[tuple[int, ...]]] = {3: [(1,), (2,)], 4: [(2, 3), (1, 2)]}
    for place in known.get(len(shape), [()]):
        index: list[int | slice] = [slice(None)] * len(shape)
        for dimension in (*place, *((0,) if shape and shape[0] != len(images) else ())):
            index[dimension] = shape[dimension] // 2
        seed = torch.zeros(shape, dtype=images.dtype, device=images.device)
        seed[tuple(index)] = 1
        yield seed


def _side(seen: Tensor) -> int | None:
    """The larger side of the pixels that are seen, of (H, W) truth values; None where it may go on behind a border."""
    sides, cut = [0], [0]
    for dimension in (0, 1):
        places = seen.any(dim=1 - dimension).nonzero().flatten().tolist()
        if places:
            side = places[-1] - places[0] + 1
            reaches_border = places[0] == 0 or places[-1] == seen.shape[dimension] - 1
            (cut if reaches_border else sides).append(side)
    return max(sides) if max(sides) >= max(cut) else None


def _mean_pool(
    input: Tensor,  # noqa: A002  # torch's names
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    """In place of a max pool; None where there is nothing to put in its place."""
    if return_indices:
        return None
    if dilation in (1, (1, 1), [1, 1]):
        return F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode)
    if ceil_mode:
        return None
    kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
    ones = input.new_ones(input.shape[-3], 1, *kernel)
    return F.conv2d(input, ones, None, stride or kernel, padding, dilation, input.shape[-3])


def _mean_pool_to(input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor | None:  # noqa: A002
    return None if return_indices else F.adaptive_avg_pool2d(input, output_size)


_PASSING = ACTIVATIONS | NORMS | DROPOUTS
_OTHERS: Mapping[str, Callable[..., Tensor | None]] = {
    "max_pool2d": _mean_pool,
    "adaptive_max_pool2d": _mean_pool_to,
    "amax": torch.mean,
    "maximum": torch.add,
    "minimum": torch.add,
}
