"""Which of torch's calls have a closed form of what a position of their result sees, and which.

A layer of kernel k on a grid whose points lie `jump` pixels apart widens what is seen by (k - 1) x jump and a stride
multiplies the jump (Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks",
equations 1 and 2). Functions go by their names without underscores: relu, relu_ and Tensor.relu are one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from bench.train.sight import Seen, Sight, Whole, Window, positions

Arguments = tuple[Sequence[Any], Mapping[str, Any]]

# A sight, and whether features are mixed; None where there is no closed form.
Known = tuple[Sight, bool] | None


def _convolved(arguments: Arguments, first: Seen, result: Tensor) -> Known:
    of = _by_name(arguments, ("input", "weight", "bias", "stride", "padding", "dilation", "groups"))
    kernel = tuple(of["weight"].shape[2:])
    dilation = of.get("dilation", 1)
    padding = of.get("padding", 0)
    if padding == "same":
        padding = [(size - 1) * step // 2 for size, step in zip(kernel, _pair(dilation), strict=True)]
    elif padding == "valid":
        padding = 0
    return _slid(first, result, kernel, of.get("stride", 1), padding, dilation)


def _max_pooled(arguments: Arguments, first: Seen, result: Tensor) -> Known:
    of = _by_name(arguments, ("input", "kernel_size", "stride", "padding", "dilation"))
    return _slid(
        first,
        result,
        of["kernel_size"],
        of.get("stride") or of["kernel_size"],
        of.get("padding", 0),
        of.get("dilation", 1),
    )


def _mean_pooled(arguments: Arguments, first: Seen, result: Tensor) -> Known:
    of = _by_name(arguments, ("input", "kernel_size", "stride", "padding"))
    if positions(result) == 1 < positions(first.tensor):
        return _read_everywhere(first)
    kernel = of["kernel_size"]
    return _slid(first, result, kernel, of.get("stride") or kernel, of.get("padding", 0), 1)


def _slid(first: Seen, result: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Known:
    if result.ndim != 4 or not isinstance(first.sight, Window):
        return None
    rows, columns = zip(*map(_pair, (kernel, stride, padding, dilation)), strict=True)
    return Window(first.sight.rows.slid(*rows), first.sight.columns.slid(*columns)), False


def _pooled_to(_arguments: Arguments, first: Seen, result: Tensor) -> Known:
    if result.ndim == 4 and positions(result) == 1:
        return _read_everywhere(first)
    return (first.sight, first.mixed) if result.shape == first.tensor.shape else None


def _reduced(_arguments: Arguments, first: Seen, result: Tensor) -> Known:
    """A mean or the like: over the whole map if the channels are left."""
    images_and_channels = tuple(first.tensor.shape[:2])
    whole = first.tensor.ndim == 4 and tuple(result.shape) in (images_and_channels, (*images_and_channels, 1, 1))
    return _read_everywhere(first) if whole else None


def _flattened(_arguments: Arguments, first: Seen, result: Tensor) -> Known:
    if result.shape == first.tensor.shape:
        return first.sight, first.mixed
    if result.ndim == 2 and first.tensor.ndim == 4 and len(result) == len(first.tensor):
        return first.sight, positions(first.tensor) > 1
    return None


def _linear(_arguments: Arguments, first: Seen, result: Tensor) -> Known:
    if result.ndim != 2:
        return None
    return (Whole.IMAGE, False) if first.mixed else (first.sight, False)


def _padded(arguments: Arguments, first: Seen, _result: Tensor) -> Known:
    of = _by_name(arguments, ("input", "pad"))
    if first.tensor.ndim != 4 or len(of["pad"]) > 4 or not isinstance(first.sight, Window):
        return None
    left, _, top, _ = (*of["pad"], 0, 0)[:4]
    return Window(first.sight.rows.slid(1, 1, top, 1), first.sight.columns.slid(1, 1, left, 1)), False


def _read_everywhere(first: Seen) -> Known:
    return (Whole.IMAGE, False) if positions(first.tensor) > 1 else (first.sight, first.mixed)


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    sizes = [int(part) for part in size]
    return sizes[0], sizes[-1]


def _by_name(arguments: Arguments, names: Sequence[str]) -> dict[str, Any]:
    args, kwargs = arguments
    return {**dict(zip(names, args, strict=False)), **kwargs}


SLIDING = frozenset({"conv2d", "max_pool2d", "avg_pool2d"})
RULES: Mapping[str, Callable[[Arguments, Seen, Tensor], Known]] = {
    "conv2d": _convolved,
    "max_pool2d": _max_pooled,
    "avg_pool2d": _mean_pooled,
    "adaptive_avg_pool2d": _pooled_to,
    "adaptive_max_pool2d": _pooled_to,
    **dict.fromkeys(("mean", "sum", "amax"), _reduced),
    **dict.fromkeys(("flatten", "reshape", "view", "squeeze"), _flattened),
    "linear": _linear,
    "pad": _padded,
}

# Each position of the result is made of the same position of what is given.
_RECTIFIERS = ("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish")
_LIMITS = (
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "hardshrink",
    "softshrink",
    "threshold",
    "clamp",
    "clamp_min",
    "clip",
)
_SMOOTH = ("sigmoid", "tanh", "softplus", "softsign", "logsigmoid", "abs", "neg", "exp", "log", "sqrt", "square", "pow")
_SUMS = ("add", "iadd", "radd", "sub", "isub", "rsub", "subtract", "maximum", "minimum", "lerp", "where")
_PRODUCTS = ("mul", "imul", "rmul", "multiply", "div", "truediv", "itruediv", "rdiv", "rtruediv", "divide", "addcmul")
_COPIES = ("cat", "concat", "concatenate", "clone", "contiguous", "to", "type", "type_as", "float", "double", "half")
ACTIVATIONS = frozenset((*_RECTIFIERS, *_LIMITS, "clamp_max"))
NORMS = frozenset(("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"))
DROPOUTS = frozenset(("dropout", "dropout1d", "dropout2d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"))
POINTWISE = ACTIVATIONS | NORMS | DROPOUTS | {*_SMOOTH, *_SUMS, *_PRODUCTS, *_COPIES}
