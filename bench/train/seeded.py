"""A trial's network, as it starts to train: initialised from the trial's seed, and fused."""

from torch import nn

from bench.plan.seeds import stream
from bench.plan.trials import Trial
from bench.train.data import Data
from bench.train.fast.activation import Activation, fast_generator
from bench.train.fast.fuse import fuse
from bench.train.network import plain_network, seed_generators

# Keys of rows hold how these two are written (`bench.train.identity`): one body for both would make every row stale.


def build_network(trial: Trial, data: Data) -> nn.Module:
    """The trial's network, initialised from its seed's stream, in training mode, fused. Its dropout draws from a stream
    of its own; what else draws takes the global generators, which are left seeded from that stream."""
    seed_generators(stream("init", trial.seed))
    network = fuse(plain_network(trial.cell, data.input_shape, data.classes))
    seed_generators(stream("dropout", trial.seed))
    dropout_generator = fast_generator(stream("dropout", trial.seed))
    for module in network.modules():
        if isinstance(module, Activation):
            module.generator = dropout_generator
    return network


def build_readable_network(trial: Trial, data: Data) -> nn.Module:
    """As `build_network`, with every module where its author put it, for who looks at them by name while it trains."""
    seed_generators(stream("init", trial.seed))
    network = fuse(plain_network(trial.cell, data.input_shape, data.classes), in_place=False)
    seed_generators(stream("dropout", trial.seed))
    dropout_generator = fast_generator(stream("dropout", trial.seed))
    for module in network.modules():
        if isinstance(module, Activation):
            module.generator = dropout_generator
    return network
