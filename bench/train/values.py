"""A digest of what a user handed over: functions, lambdas, objects that can be called, with all that they hold."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.train.code import Walk, is_ours


def digest_of_values(*values: object) -> str:
    """16 hexadecimal digits of what `values` do and hold: of what is written in a user's files the code, of what comes
    from elsewhere the name; the values that a function closes over or has as defaults, the arguments of a partial, the
    attributes of an object."""
    walk = _ValueWalk(apart=())
    said = [walk.reach(value) for value in values]
    walk.finish()
    return hashlib.sha256("\n".join([*map(str, said), *walk.texts]).encode()).hexdigest()[:16]


class _ValueWalk(Walk):
    """As it goes through code, but into objects as well."""

    def __init__(self, apart: tuple[object, ...]) -> None:
        super().__init__(apart)
        self._objects: dict[int, int] = {}
        # What is made on the way may not be given back: another would get its place.
        self._kept: list[object] = []

    def constant(self, found: object) -> str | None:
        """What stands for a value."""
        if isinstance(found, Tensor | np.ndarray):
            return _contents(found)
        if isinstance(found, np.generic | enum.Enum | torch.dtype | torch.device | torch.Size | slice):
            return repr(found)
        if isinstance(found, MethodType):
            return f"method {found.__func__.__name__} of {self.reach(found.__self__)}, {self.reach(found.__func__)}"
        if isinstance(found, ModuleType):
            return found.__name__
        if isinstance(found, FunctionType | type) or (not hasattr(found, "__dict__") and callable(found)):
            return f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', type(found).__name__)}"
        # A partial holds no more than what `Walk` asks it for, though it is an object with attributes.
        plain = None if isinstance(found, nn.Module) else super().constant(found)
        return plain if plain is not None else self._object(found)

    def _object(self, found: Any) -> str:
        if id(found) in self._objects:
            return f"object {self._objects[id(found)]}"
        self._objects[id(found)] = len(self._objects)
        self._kept.append(found)
        kind = self.reach(type(found))
        held = ", ".join(f"{name}={self.reach(value)}" for name, value in sorted(_attributes(found).items()))
        return f"{kind}({held})"


def _attributes(found: Any) -> Mapping[str, object]:
    """What an object holds that can matter to what it does when it is called. Of objects that come from elsewhere, what
    they keep to themselves may differ from version to version."""
    if is_dataclass(found):
        return {field.name: getattr(found, field.name, None) for field in fields(found)}
    held = dict(getattr(found, "__dict__", {}))
    if isinstance(found, nn.Module):
        parts = {name: held.get(name) for name in ("_parameters", "_buffers", "_modules")}
        return parts | {name: value for name, value in held.items() if not name.startswith("_")}
    if is_ours(type(found).__module__):
        slots = (name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ()))
        return held | {name: getattr(found, name, None) for name in slots}
    return {name: value for name, value in held.items() if not name.startswith("_")} if callable(found) else {}


def _contents(values: Tensor | Any) -> str:
    array = values.detach().cpu().contiguous() if isinstance(values, Tensor) else np.ascontiguousarray(values)
    held = array.reshape(-1).view(torch.uint8).numpy() if isinstance(array, Tensor) else array
    return f"{tuple(values.shape)} {values.dtype} {hashlib.sha256(held.tobytes()).hexdigest()[:16]}"
