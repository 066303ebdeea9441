"""Follows what is seen of the image through a forward pass, call by call.

Where all calls on the way are known (`bench.train.calls`), it has a closed form; branches that meet see what each of
them sees. Behind any other call it has to be measured (`bench.train.support`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.overrides import TorchFunctionMode

from bench.train.calls import POINTWISE, RULES, SLIDING, Arguments
from bench.train.sight import Measured, Seen, Sight, Span, Whole, Window, positions, tensors_in


class Follow(TorchFunctionMode):
    """Finds the sight of every tensor that comes from the image. Only the image may require a gradient, so that what
    comes from it by ways that can't be followed is known by its gradient."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, Seen] = {}

    def image(self, images: Tensor) -> Tensor:
        """The images (N, C, H, W), a leaf that requires a gradient, as what the network is to be given."""
        given = images.clone()  # a network may write into what it is given
        pixel = Span(0, 1, 1)
        self._seen[id(given)] = Seen(given, given._version, Window(pixel, pixel))
        return given

    def sight(self, tensor: Tensor) -> Sight | None:
        """What a position of the tensor sees; None for one that doesn't come from the image."""
        seen = self._find(tensor)
        return seen.sight if seen is not None else None

    def last_map(self, result: object) -> Sight | None:
        """The sight of the last map that the result was made of."""
        seen = self._find(result) if isinstance(result, Tensor) else None
        return (seen.last_map or seen.sight) if seen is not None else None

    def __torch_function__(  # torch's protocol
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = str(getattr(func, "__name__", "")).strip("_")
        found = (self._find(tensor) for tensor in tensors_in((args, kwargs)))
        given = [seen for seen in found if seen is not None]
        result = self.call(name, func, args, kwargs)
        if given:
            for tensor in tensors_in(result):
                if tensor.requires_grad:
                    self._seen[id(tensor)] = _result(name, (args, kwargs), given, tensor)
        return result

    def call(self, _name: str, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the network gets when it calls a function."""
        return func(*args, **kwargs)

    def _find(self, tensor: Tensor) -> Seen | None:
        with torch._C.DisableTorchFunction():
            seen = self._seen.get(id(tensor))
            if seen is not None and seen.version == tensor._version:
                return seen
            # Changed or made by a way that isn't followed.
            return _unknown(tensor) if tensor.requires_grad else None


def _unknown(tensor: Tensor, given: Sequence[Seen] = (), last_map: Sight | None = None) -> Seen:
    sight = Measured(get_gradient_edge(tensor), tuple(tensor.shape), tuple(seen.sight for seen in given))
    return Seen(tensor, tensor._version, sight, last_map=last_map)


def _result(name: str, arguments: Arguments, given: Sequence[Seen], result: Tensor) -> Seen:
    """What a call's result sees, made of tensors that were `given`."""
    slides = name in SLIDING
    last_map = None if positions(result) > 1 or slides else _last_map(given)
    if all(seen.sight is Whole.IMAGE for seen in given):
        return Seen(result, result._version, Whole.IMAGE, last_map=last_map)
    if name in POINTWISE and (joined := _joined(given, result)) is not None:
        mixed = any(seen.mixed for seen in given)
        return Seen(result, result._version, joined, mixed, last_map)
    [first, *others] = given
    known = None
    if not others and name in RULES and first.tensor is next(tensors_in(arguments), None):
        known = RULES[name](arguments, first, result)
    if known is None:
        return _unknown(result, given, last_map)
    sight, mixed = known
    if slides and sight is Whole.IMAGE:
        last_map = first.sight
    return Seen(result, result._version, sight, mixed, last_map)


def _last_map(given: Sequence[Seen]) -> Sight | None:
    """Of what is made into features, the sight of the last map: one of `given`, or one that these were made of."""
    maps = [seen.sight if positions(seen.tensor) > 1 else seen.last_map for seen in given]
    known = [sight for sight in maps if sight is not None]
    if not known:
        return None
    return _union(known) or known[-1]


def _union(sights: Sequence[Sight]) -> Sight | None:
    """What all of them see, None without a closed form."""
    if all(sight is sights[0] for sight in sights):
        return sights[0]
    if any(sight is Whole.IMAGE for sight in sights):
        return Whole.IMAGE
    union = sights[0]
    for sight in sights[1:]:
        if not isinstance(union, Window) or not isinstance(sight, Window):
            return None
        if (union.rows.jump, union.columns.jump) != (sight.rows.jump, sight.columns.jump):
            return None
        union = Window(union.rows.joined(sight.rows), union.columns.joined(sight.columns))
    return union


def _joined(given: Sequence[Seen], result: Tensor) -> Sight | None:
    """What a result sees whose positions are made of the same positions of what was given."""
    sight = _union([seen.sight for seen in given])
    kept = slice(2, None) if result.ndim == 4 else slice(1, None) if result.ndim > 2 else slice(0)
    same = all(seen.tensor.ndim == result.ndim and seen.tensor.shape[kept] == result.shape[kept] for seen in given)
    return sight if same or sight is Whole.IMAGE else None
