"""A cell's network: as it is written, and as it trains."""

import sysconfig
import traceback
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import BenchError, UsageError
from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell
from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.fast.activation import Activation, fast_generator
from bench.train.fast.fuse import fuse

# Where code that isn't the user's lies.
_LIBRARIES = tuple({*sysconfig.get_paths().values(), str(Path(__file__).parents[1]), "<"})


class NetworkError(UsageError):
    """A builder gives no network for this data."""


def plain_network(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The cell's network as it is written, initialised from torch's global generator. Raises NetworkError where the
    builder fails or returns something else."""
    build = find_architecture(cell.architecture).build
    try:
        network = build(input_shape, classes, **cell.keywords)
    except Exception as error:
        raise NetworkError(
            f"{cell.label} can't be built for images of {shape_text(input_shape)}: {said(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise NetworkError(
            f"{cell.label}: its builder returns {'nothing' if network is None else type(network).__name__}, and should "
            "return an nn.Module"
        )
    return network


def check_logits(logits: object, images: int, classes: int, cell: Cell) -> None:
    """Raises NetworkError for what isn't one logit a class of each image."""
    wanted = f"logits are a float tensor ({images}, {classes}) for {images} images of {classes} classes"
    if not isinstance(logits, Tensor):
        raise NetworkError(f"{cell.label} returns {type(logits).__name__}: {wanted}")
    if tuple(logits.shape) != (images, classes) or not logits.is_floating_point():
        raise NetworkError(f"{cell.label} returns {str(logits.dtype)[6:]} {tuple(logits.shape)}: {wanted}")


def shape_text(shape: tuple[int, int, int]) -> str:
    """A shape (channels, height, width) as people and rows write it: 1x12x20."""
    return "x".join(map(str, shape))


def said(error: Exception) -> str:
    """An exception in one line, with the line of the file that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, BenchError | ValueError) else f"{type(error).__name__}: "
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{kind}{text}{where}"


def build_network(trial: Trial, data: Data) -> nn.Module:
    """The trial's network, initialised from its seed's stream, in training mode, fused. Its dropout draws from a stream
    of its own; what else draws takes torch's global generator, which is left seeded from that stream."""
    torch.manual_seed(stream("init", trial.seed))
    network = fuse(plain_network(trial.cell, data.input_shape, data.classes))
    torch.manual_seed(stream("dropout", trial.seed))
    dropout_generator = fast_generator(stream("dropout", trial.seed))
    for module in network.modules():
        if isinstance(module, Activation):
            module.generator = dropout_generator
    return network
