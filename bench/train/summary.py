"""Layer by layer: output shape, receptive field, parameters and multiply-accumulates (MACs) of any network.

The network is run once on a blank image, in evaluation, and stays as it was. MACs are half of what torch's FLOP counter
counts: convolutions, linear layers and matrix products, attention's included, whatever module or function makes them.
Not counted are activations, norms, pools, softmax, sums and other work that goes element by element. A weight that is
computed from others (torch.nn.utils.parametrize) counts as it is deployed, once computed.
"""

import copy
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from bench.train.follow import Follow
from bench.train.network import said, shape_text
from bench.train.sight import Measured, Sight, side_of, tensors_in
from bench.train.support import Measuring, PositiveFollow, positive_weights

T = TypeVar("T")

# What the network itself is called where it has weights or work of its own.
WHOLE_NETWORK = "(network)"

# A module whose parts are used without being called.
_ONE_LAYER = (nn.MultiheadAttention,)

# A network may need more than one image, as one that squeezes all sizes of 1 does.
_IMAGES = (1, 2)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One module, for one image: a leaf, or one with weights or MACs of its own, its parts not counted in.

    `output` is its shape without the batch, of several calls the last one's, of several tensors the first one's; None
    where it was never called. `receptive_field` is the larger side, in pixels, of what one position of the output sees;
    None where that is the whole image or reaches the image's border (without a closed form that can't be told apart).
    Statistics that a norm takes over the map don't count. `macs` are those of all calls, `parameters` those that no
    earlier row has, so that rows add up.
    """

    name: str
    kind: str
    output: tuple[int, ...] | None
    receptive_field: int | None
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The layers and their totals; a parameter that several share counts once. `training_parameters` are those while
    it trains, where some are computed from others. `receptive_field` is that of the last map, which is pooled globally,
    flattened or read as tokens after; None as in LayerRow."""

    layers: tuple[LayerRow, ...]
    parameters: int
    training_parameters: int
    macs: int
    receptive_field: int | None


def summarise(network: nn.Module, input_shape: tuple[int, int, int]) -> Summary:
    """Measures the network on a blank image of `input_shape` (channels, height, width).

    Leaves the network and torch's global generator as they were. Raises ValueError, in one line, for a network that
    fails on such an image or returns anything but logits (images, classes).
    """
    with _as_it_was(network):
        deployed = _deployed(network)
        run = _run_blank(deployed, input_shape)
        fields = _fields(deployed, input_shape, run)
    rows = tuple(_rows(deployed, run, fields))
    return Summary(
        layers=rows,
        parameters=sum(row.parameters for row in rows),
        training_parameters=_parameters(network),
        macs=sum(row.macs for row in rows),
        receptive_field=fields[None],
    )


def count_sizes(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[int, int]:
    """The totals of `summarise`, parameters and MACs, in a quarter of its time: no layer is looked at. Raises as it
    does."""

    def run(weights: Mapping[str, Tensor], images: Tensor, counter: FlopCounterMode) -> tuple[object, int]:
        with _unfused(deployed):
            return functional_call(deployed, dict(weights), (images.clone(),)), counter.get_total_flops()

    with _as_it_was(network):
        deployed = _deployed(network)
        flops, images = _on_blank(deployed, input_shape, run)
    return _parameters(deployed), flops // images // 2


def count_parameters(network: nn.Module) -> int:
    """The parameters of a network as it is deployed, as `summarise` counts them."""
    with _as_it_was(network):
        return _parameters(_deployed(network))


def count_training_macs(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """MACs of a training step, an image's share: those of the forward pass and those of the backward pass, each as
    torch's FLOP counter sees them. That is the gradients of all weights and maps, but for the first layer's input,
    which nobody asks for: a convolution's backward pass counts twice its forward pass, the first layer's once. Raises
    as `summarise` does."""

    def run(weights: Mapping[str, Tensor], images: Tensor, counter: FlopCounterMode) -> tuple[object, int]:
        learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        for name in learning:
            weights[name].requires_grad_()
        with _unfused(network):
            logits = functional_call(network, dict(weights), (images.detach(),))
            if learning and isinstance(logits, Tensor):
                logits.sum().backward()
        return logits, counter.get_total_flops()

    with _as_it_was(network):
        flops, images = _on_blank(network, input_shape, run)
    return flops // images // 2


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _deployed(network: nn.Module) -> nn.Module:
    """The network, or, where some of its weights are computed from others, a copy that holds what they come to."""
    if not any(map(is_parametrized, network.modules())):
        return network
    deployed = copy.deepcopy(network)
    for module in list(deployed.modules()):
        if is_parametrized(module):
            _compute_once(module)
    return deployed


def _compute_once(module: nn.Module) -> None:
    """Gives a module the weights that it computes. torch's `remove_parametrizations` takes them from what the module
    was copied from as well."""
    sources = cast(nn.ModuleDict, module.parametrizations)
    values = {name: (getattr(module, name).detach(), source) for name, source in sources.items()}
    module.__class__ = type_before_parametrizations(module)
    del module.parametrizations
    for name, (value, source) in values.items():
        if next(source.parameters(), None) is None:
            module.register_buffer(name, value)
        else:
            module.register_parameter(name, nn.Parameter(value))


class _Run:
    """What is seen of one forward pass, module by module. `last` is the sight of the last map."""

    def __init__(self, follow: Follow, counter: FlopCounterMode | None = None) -> None:
        self.follow = follow
        self.flops: dict[nn.Module, int] = defaultdict(int)
        self.outputs: dict[nn.Module, tuple[int, ...]] = {}
        self.sights: dict[nn.Module | None, Sight | None] = {}
        self._counter = counter
        self._open: list[list[int]] = []

    def of(self, network: nn.Module, weights: Mapping[str, Tensor], images: Tensor) -> Any:
        """Runs the network with these weights; what it returns."""
        handles: list[RemovableHandle] = []
        try:
            for module in network.modules():
                handles.append(module.register_forward_pre_hook(self._enter))
                handles.append(module.register_forward_hook(self._leave))
            with _unfused(network), self.follow:
                result = functional_call(network, dict(weights), (images,))
        finally:
            for handle in handles:
                handle.remove()
        self.sights[None] = self.follow.last_map(result)
        return result

    def _enter(self, _module: nn.Module, _inputs: object) -> None:
        self._open.append([self._total(), 0])

    def _leave(self, module: nn.Module, _inputs: object, output: object) -> None:
        before, of_parts = self._open.pop()
        spent = self._total() - before
        self.flops[module] += spent - of_parts
        if self._open:
            self._open[-1][1] += spent
        first = next(tensors_in(output), None)
        if first is not None:
            self.outputs[module] = tuple(first.shape[1:])
            self.sights[module] = self.follow.sight(first)

    def _total(self) -> int:
        return self._counter.get_total_flops() if self._counter is not None else 0


def _run_blank(network: nn.Module, input_shape: tuple[int, int, int]) -> _Run:
    """A run on a blank image; `flops` are of one image. Raises ValueError."""

    def run(weights: Mapping[str, Tensor], images: Tensor, counter: FlopCounterMode) -> tuple[object, _Run]:
        follow = Follow()
        run = _Run(follow, counter)
        return run.of(network, weights, follow.image(images)), run

    found, count = _on_blank(network, input_shape, run)
    found.flops = defaultdict(int, {module: flops // count for module, flops in found.flops.items()})
    return found


def _on_blank(
    network: nn.Module,
    input_shape: tuple[int, int, int],
    run: Callable[[Mapping[str, Tensor], Tensor, FlopCounterMode], tuple[object, T]],
) -> tuple[T, int]:
    """What `run`, of weights, images and a counter, gives beside logits on one blank image, or on two where it can't be
    one, and on how many. Raises ValueError."""
    shape, problem = shape_text(input_shape), ""
    for count in _IMAGES:
        images = torch.zeros(count, *input_shape, device=_device(network), requires_grad=True)
        weights = {name: tensor.detach() for name, tensor in network.named_parameters()}
        weights |= {name: tensor.clone() for name, tensor in network.named_buffers()}
        try:
            with FlopCounterMode(display=False) as counter:
                _leave_compiler(counter)
                result, found = run(weights, images, counter)
        except Exception as error:  # a network is anybody's code
            problem = f"fails on a blank image of {shape}: {said(error)}"
            continue
        if isinstance(result, Tensor) and result.ndim == 2 and len(result) == count:
            return found, count
        problem = f"gives {_what(result)} for {count} images of {shape}, not one tensor of logits, (images, classes)"
    raise ValueError(f"the network {problem}")


def _leave_compiler(counter: FlopCounterMode) -> None:
    """Keeps torch from importing its compiler, which takes longer than all the counting, to tell it to leave the
    counter's calls alone. Where the compiler is there, as for a network that is compiled, it is told."""
    if counter.mode is not None and "torch._dynamo" not in sys.modules:
        count = inspect.unwrap(type(counter.mode).__torch_dispatch__)
        count.__dict__["__dynamo_disable"] = count


def _fields(network: nn.Module, input_shape: tuple[int, int, int], run: _Run) -> dict[nn.Module | None, int | None]:
    """The receptive field by module, and under None that of the last map."""
    if not any(isinstance(sight, Measured) for sight in run.sights.values()):
        return {module: side_of(sight) for module, sight in run.sights.items()}
    # Small numbers need the range of a double; a network may insist on single precision.
    for dtype in (torch.float64, torch.float32):
        images, weights = positive_weights(network, input_shape, dtype)
        follow = PositiveFollow()
        again = _Run(follow)
        try:
            again.of(network, weights, follow.image(images))
            measure = Measuring(images).side
            return {module: side_of(sight, measure) for module, sight in again.sights.items()}
        except Exception:  # noqa: S112  # a network is anybody's code, and may not take such images
            continue
    return {module: side_of(sight) for module, sight in run.sights.items()}


def _rows(network: nn.Module, run: _Run, fields: Mapping[nn.Module | None, int | None]) -> Iterator[LayerRow]:
    counted: set[Tensor] = set()
    for name, module, is_leaf in _layers(network):
        own = [p for p in module.parameters(recurse=is_leaf) if p not in counted]
        counted.update(own)
        parts = module.modules() if is_leaf else [module]
        macs = sum(run.flops.get(part, 0) for part in parts) // 2
        called = module in run.outputs
        if own or macs or (is_leaf and (called or not isinstance(module, nn.ModuleList | nn.ModuleDict))):
            yield LayerRow(
                name=name or WHOLE_NETWORK,
                kind=type(module).__name__,
                output=run.outputs.get(module),
                receptive_field=fields.get(module),
                parameters=sum(parameter.numel() for parameter in own),
                macs=macs,
            )


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    """Every module once, by its first path, and whether it is one layer; before its parts, unless it is."""
    inside: set[nn.Module] = set()
    for name, module in network.named_modules():
        if module not in inside:
            is_leaf = isinstance(module, _ONE_LAYER) or next(module.children(), None) is None
            if is_leaf:
                inside.update(module.modules())
            yield name, module, is_leaf


@contextmanager
def _as_it_was(network: nn.Module) -> Iterator[None]:
    """In evaluation, with gradients and, as threads cost more than they give for one image, in one thread; puts back
    what that changes, and the random generator."""
    training = {module: module.training for module in network.modules()}
    threads = torch.get_num_threads()
    try:
        network.eval()
        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        for module, was in training.items():
            module.training = was


@contextmanager
def _unfused(network: nn.Module) -> Iterator[None]:
    """Without what makes one call of attention or of a recurrent layer, where their products aren't counted."""
    onednn = torch._C._get_mkldnn_enabled()
    recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())
    torch._C._set_mkldnn_enabled(onednn and not recurrent)
    try:
        with sdpa_kernel([SDPBackend.MATH]):
            yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)


def _device(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def _what(result: object) -> str:
    if isinstance(result, Tensor):
        return f"a tensor of {'x'.join(map(str, result.shape)) or 'one number'}"
    return "nothing" if result is None else f"a {type(result).__name__}"
