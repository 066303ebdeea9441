"""A cell's network as it is written."""

import random
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bench.errors import BenchError, UsageError, one_line
from bench.interrupted import Terminated
from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell
from bench.train.called import place_of

# Where code that isn't the user's lies.
_LIBRARIES = tuple({*sysconfig.get_paths().values(), str(Path(__file__).parents[1]), "<"})


class NetworkError(UsageError):
    """A builder gives no network for this data."""


def plain_network(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The cell's network as it is written, initialised from torch's global generator; it takes images in any memory
    layout. Raises NetworkError where the builder fails or returns something else."""
    build = find_architecture(cell.architecture).build
    try:
        network = build(input_shape, classes, **cell.keywords)
        if isinstance(network, nn.Module):
            _materialise(network, input_shape)
    except Terminated:
        raise
    except (Exception, SystemExit) as error:
        raise NetworkError(
            f"{cell.label} can't be built for images of {shape_text(input_shape)}: {said(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        given = "nothing" if network is None else type(network).__name__
        raise NetworkError(
            f"{place_of(build)}{cell.label}: its builder returns {given}, and should return an nn.Module"
        )
    if not _takes_channels_last(network, input_shape):
        network.register_forward_pre_hook(_lay_channels_first)
    return network


def check_logits(logits: object, images: int, classes: int, cell: Cell) -> None:
    """Raises NetworkError for what isn't one logit a class of each image."""
    place = place_of(find_architecture(cell.architecture).build)
    wanted = f"logits are a float tensor ({images}, {classes}) for {images} images of {classes} classes"
    if not isinstance(logits, Tensor):
        raise NetworkError(f"{place}{cell.label} returns {type(logits).__name__}: {wanted}")
    if tuple(logits.shape) != (images, classes) or not logits.is_floating_point():
        raise NetworkError(f"{place}{cell.label} returns {str(logits.dtype)[6:]} {tuple(logits.shape)}: {wanted}")


def seed_generators(seed: int) -> None:
    """Seeds what a user's code may draw from: torch's global generator, Python's and numpy's."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # it is numpy's global generator that is meant


def shape_text(shape: tuple[int, int, int]) -> str:
    """A shape (channels, height, width) as people and rows write it: 1x12x20."""
    return "x".join(map(str, shape))


def said(error: BaseException) -> str:
    """An exception in one line, with the line of the file that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    text = one_line(error)
    kind = "" if text and isinstance(error, BenchError | ValueError) else f"{type(error).__name__}: "
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{kind}{text}".removesuffix(": ") + where


def _materialise(network: nn.Module, input_shape: tuple[int, int, int]) -> None:
    """Gives lazy modules their shapes, drawn from torch's global generator as the others are."""
    if any(is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers())):
        network.eval()
        with torch.no_grad():
            network(torch.zeros(2, *input_shape))
        network.train()


def _takes_channels_last(network: nn.Module, input_shape: tuple[int, int, int]) -> bool:
    """Whether a network runs on images laid out channels last: not where it says `view` of maps. Where it fails in
    either layout, that isn't why."""
    if all(type(module).__module__.startswith("torch.nn.") for module in network.modules()):
        return True
    state = torch.get_rng_state()
    network.eval()
    try:
        # Who writes down what a network calls isn't to see this.
        with torch.no_grad(), torch._C.DisableTorchFunction():
            network(torch.zeros(2, *input_shape))
            try:
                network(torch.empty(2, *input_shape).to(memory_format=torch.channels_last).zero_())
            except RuntimeError:
                return False
    except Exception:
        return True
    finally:
        network.train()
        torch.set_rng_state(state)
    return True


def _lay_channels_first(_network: nn.Module, images: tuple[Any, ...]) -> tuple[Tensor] | None:
    """A hook before a network's forward pass."""
    [maps] = images
    # Of one channel, torch takes both layouts for contiguous, and a convolution would go by the strides.
    _, channels, height, width = maps.shape
    usual = (channels * height * width, height * width, width, 1)
    return None if maps.stride() == usual else (maps.clone(memory_format=torch.contiguous_format),)
