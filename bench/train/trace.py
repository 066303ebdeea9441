"""A digest of what a network computes and how it starts, whatever file, class or name it stands in.

The network is built and run on a few images while every call of torch's functions is written down: what is called, with
which numbers, on the results of which calls. So a module that is rewritten and computes the same keeps its digest, and
one whose skip connection is gone does not.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from bench.train.code import digest_of

# Images that a network is run on: batch norm needs two.
_IMAGES = 2

# What reads numbers out of tensors, or acts later. What a network does with them one run doesn't show: then its code
# counts as well.
_READS = (
    "item",
    "tolist",
    "numpy",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "is_nonzero",
    "equal",
    "allclose",
    "register_hook",
)


def network_digest(
    build: Callable[[], nn.Module], input_shape: Sequence[int], check: Callable[[object, int], None] | None = None
) -> str:
    """16 hexadecimal digits of what the built network computes on images of `input_shape` (channels, height, width):
    initialisation, two forward passes in training, one in evaluation, and the code of gradients that aren't torch's.
    `check` is called with what each pass returns and the number of images, and may raise.

    Leaves torch's global generator as it was.
    """
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    try:
        return _digest(build, input_shape, check)
    finally:
        torch.set_rng_state(state)
        torch.set_num_threads(threads)


def _digest(
    build: Callable[[], nn.Module], input_shape: Sequence[int], check: Callable[[object, int], None] | None
) -> str:
    images = torch.linspace(0, 1, _IMAGES * _product(input_shape)).reshape(_IMAGES, *input_shape)
    log = _Log(images)
    outputs: list[object] = []
    with log:
        network = build()
        log.end_of("building")
        for _ in range(2):
            network.train()
            logits = network(images)
            log.end_of("training")
            outputs.append(logits)
        network.eval()
        with torch.no_grad():
            outputs.append(network(images))
    for output in outputs:
        if check is not None:
            check(output, _IMAGES)
    tensors = (*network.parameters(), *network.buffers())
    log.lines += sorted(f"{log.label(tensor)} {tensor.requires_grad}" for tensor in tensors)
    log.lines += map(_code, _own_gradients(logits))
    if log.reads_values:
        log.lines += map(_code, dict.fromkeys(type(module) for module in network.modules()))
    return hashlib.sha256("\n".join(log.lines).encode()).hexdigest()[:16]


def _code(kind: type[Any]) -> str:
    try:
        return digest_of(kind)
    except ValueError:  # torch's own
        return kind.__qualname__


def _own_gradients(logits: Tensor) -> list[type[Any]]:
    """The classes of torch.autograd.Function that a result was computed with, each once."""
    found: dict[type[Any], None] = {}
    seen, waiting = set(), [logits.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if hasattr(node, "_forward_cls"):
                found[node._forward_cls] = None
            waiting += [before for before, _ in node.next_functions]
    return list(found)


def _product(numbers: Iterable[int]) -> int:
    total = 1
    for number in numbers:
        total *= number
    return total


class _Log(TorchFunctionMode):
    """Writes calls down; a tensor is named by the call that it came from, or by what it holds."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.reads_values = False
        self._labels: dict[int, str] = {}
        self._places: dict[tuple[object, ...], str] = {}
        # Memory that is given back would be given to others, and so would its place.
        self._kept: list[Tensor] = []
        self._keep(images, f"images {tuple(images.shape)}")

    def __torch_function__(  # torch's protocol
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        short = name.rpartition(".")[2]
        if short in _READS:
            self.reads_values = True
        given = self._written(_by_name(func, args, kwargs))
        result = func(*args, **kwargs)
        if short == "__set__" or _holds_tensor(result):
            self.lines.append(f"{name} {given}")
            self._name_results(result, f"%{len(self.lines)}")
        return result

    def end_of(self, phase: str) -> None:
        """Marks where one phase of a network's life ends."""
        self.lines.append(phase)

    def label(self, tensor: Tensor) -> str:
        """What a tensor is called."""
        with torch._C.DisableTorchFunction():
            known = self._labels.get(id(tensor)) or self._places.get(_place(tensor))
            if known is None:
                known = f"{tuple(tensor.shape)} {tensor.dtype} {_contents(tensor)}"
            self._keep(tensor, known)
            return known

    def _name_results(self, result: object, name: str) -> None:
        if isinstance(result, Tensor):
            with torch._C.DisableTorchFunction():
                # What works in place gives back what it was given.
                if id(result) not in self._labels:
                    self._keep(result, f"{name} {tuple(result.shape)} {result.dtype}")
        elif isinstance(result, tuple | list):
            for number, part in enumerate(result):
                self._name_results(part, f"{name}.{number}")

    def _keep(self, tensor: Tensor, name: str) -> None:
        if id(tensor) not in self._labels:
            self._labels[id(tensor)] = name
            self._places.setdefault(_place(tensor), name)
            self._kept.append(tensor)

    def _written(self, value: object) -> str:
        if isinstance(value, Tensor):
            return self.label(value)
        if isinstance(value, tuple | list):
            return f"[{', '.join(map(self._written, value))}]"
        if isinstance(value, Mapping):
            return f"{{{', '.join(f'{name}: {self._written(part)}' for name, part in value.items())}}}"
        if value is None or isinstance(value, bool | int | float | str | torch.dtype | torch.device | slice):
            return repr(value)
        if value is Ellipsis or isinstance(value, torch.memory_format | torch.layout):
            return repr(value)
        return type(value).__name__


def _by_name(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments by their names, or by their places where a function doesn't say its names. What is at its default is
    left out, so that it doesn't count how it was given and a newer torch may know more of them. Whether a function
    works in place is a matter of memory."""
    signature = _signature(function)
    if signature is None:
        given = {name: value for name, value in kwargs.items() if value is not None}
        return {**{str(place): value for place, value in enumerate(args)}, **given}
    return {
        name: value
        for name, value in signature.bind(*args, **kwargs).arguments.items()
        if name != "inplace" and not _is_default(value, signature.parameters[name].default)
    }


def _is_default(value: object, default: object) -> bool:
    return type(value) is type(default) and not isinstance(value, Tensor) and value == default


@cache
def _signature(function: Any) -> inspect.Signature | None:
    return inspect.signature(function) if isinstance(function, FunctionType) else None


@cache
def _name(function: Any) -> str:
    return resolve_name(function) or str(getattr(function, "__name__", type(function).__name__))


def _place(tensor: Tensor) -> tuple[object, ...]:
    if not tensor.numel():
        return (id(tensor),)
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _contents(tensor: Tensor) -> str:
    values = tensor.detach().to("cpu", copy=True).contiguous()
    return hashlib.sha256(values.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()[:16]


def _holds_tensor(result: object) -> bool:
    return isinstance(result, Tensor) or (isinstance(result, tuple | list) and any(map(_holds_tensor, result)))
