"""A cell's network: as it is written, and as it trains."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from architectures.blocks import assemble
from bench.plan.cells import Cell, find_architecture
from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.fast.activation import Activation, fast_generator
from bench.train.fast.fuse import fuse


def plain_network(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """The cell's network in torch's own layers, initialised from torch's global generator; it takes images in any
    memory layout."""
    network = assemble(find_architecture(cell.architecture), cell.levels, input_shape, classes)
    _materialise(network, input_shape)
    if not _takes_channels_last(network, input_shape):
        network.register_forward_pre_hook(_lay_channels_first)
    return network


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


def build_readable_network(trial: Trial, data: Data) -> nn.Module:
    """As `build_network`, with every module where its author put it, for who looks at them by name while it trains."""
    torch.manual_seed(stream("init", trial.seed))
    network = fuse(plain_network(trial.cell, data.input_shape, data.classes), in_place=False)
    torch.manual_seed(stream("dropout", trial.seed))
    dropout_generator = fast_generator(stream("dropout", trial.seed))
    for module in network.modules():
        if isinstance(module, Activation):
            module.generator = dropout_generator
    return network


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
