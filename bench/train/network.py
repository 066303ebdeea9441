"""A cell's network: as it is written, and as it trains."""

import torch
from torch import nn

from architectures.blocks import assemble
from bench.plan.cells import Cell, find_architecture
from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.fast.activation import Activation, fast_generator
from bench.train.fast.fuse import fuse


def plain_network(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """The cell's network in torch's own layers, initialised from torch's global generator."""
    return assemble(find_architecture(cell.architecture), cell.levels, input_shape, classes)


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
