"""What is asked of a network: that it starts from its seed, that all of it learns, that it is measured as it is."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import BenchError
from bench.plan.catalogue import find_architecture
from bench.plan.cells import Cell
from bench.plan.seeds import stream
from bench.train.called import called, place_of
from bench.train.data import Data
from bench.train.network import NetworkError, check_logits, plain_network, seed_generators
from bench.train.network_identity import network_part

# How far an image's logits may move with the images beside it, as a share of the largest: other kernels serve other
# batches, and round otherwise. Statistics of the batch move them by a hundred times as much.
SAME = 1e-3

_LONGEST_LIST = 4


def problems_of(cell: Cell, data: Data) -> Iterator[tuple[str, str]]:
    """What is wrong with the cell's network on these images: the check's name (networks, gradients, evaluation,
    another seed) and a line. One that can't be built or has no logits has no other problem."""
    try:
        network_part(cell, data.input_shape, data.classes)
        network = _built(cell, data, seed=0)
        another = _built(cell, data, seed=1)
    except BenchError as error:
        yield "networks", str(error)
        return
    place = place_of(find_architecture(cell.architecture).build)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        yield "networks", f"{place}{cell.label} has no parameter that learns (requires_grad)"
        return
    if _equal(network, another):
        yield (
            "another seed",
            f"{place}{cell.label} starts from the same weights with every seed: draw them from torch's generator, and "
            "set no seed in the builder",
        )
    try:
        unlearned = list(_unlearned(network, data, cell))
    except BenchError as error:
        yield "networks", str(error)
        return
    yield from (("gradients", f"{place}{problem}") for problem in unlearned)
    try:
        yield from (("evaluation", f"{place}{problem}") for problem in _mismeasured(network, data, cell))
    except BenchError as error:
        yield "evaluation", str(error)


def _built(cell: Cell, data: Data, seed: int) -> nn.Module:
    seed_generators(stream("init", seed))
    return plain_network(cell, data.input_shape, data.classes)


def _equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=False)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def _unlearned(network: nn.Module, data: Data, cell: Cell) -> Iterator[str]:
    """Parameters that no gradient reaches in training or in evaluation, where stochastic depth skips nothing; and those
    that gradients reach, but no optimiser. Raises NetworkError where none flows at all."""
    images = _prepared(data)
    reached: set[str] = set()
    own = set(map(id, network.parameters()))
    strangers: list[Tensor] = []
    for training in (True, False):
        network.train(training).zero_grad()
        logits = called(cell.label, network, images)
        check_logits(logits, len(images), data.classes, cell)
        if logits.grad_fn is None:
            raise NetworkError(
                f"{place_of(find_architecture(cell.architecture).build)}{cell.label} has logits that no gradient flows "
                "from: leave out .detach(), .data and torch.no_grad"
            )
        strangers += [leaf for leaf in _leaves(logits) if id(leaf) not in own and leaf is not images]
        called("the gradient", F.cross_entropy(logits.float(), data.train.labels).backward)
        reached |= {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    network.zero_grad()
    missed = [name for name, one in network.named_parameters() if one.requires_grad and name not in reached]
    if missed:
        more = f" and {len(missed) - _LONGEST_LIST} more" if len(missed) > _LONGEST_LIST else ""
        yield (
            f"no gradient reaches {', '.join(missed[:_LONGEST_LIST])}{more} in {cell.label}: use it in forward, or "
            "don't make it"
        )
    if strangers:
        shape = "x".join(map(str, strangers[0].shape)) or "one number"
        yield (
            f"{cell.label} uses a parameter ({shape}) that isn't its own and so never learns: keep layers in "
            "nn.ModuleList or as attributes, not in a list"
        )


def _mismeasured(network: nn.Module, data: Data, cell: Cell) -> Iterator[str]:
    """Evaluation that is random, that depends on the other images of a batch, or that changes the network."""
    images = _prepared(data)
    network.eval()
    before = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    with torch.inference_mode():
        first, again, alone = (called(cell.label, network, batch) for batch in (images, images, images[:1]))
    check_logits(alone, 1, data.classes, cell)
    if not torch.isfinite(first).all():
        yield f"{cell.label} gives logits that are no finite numbers, before it has trained"
        return
    if not torch.equal(first, again):
        yield (
            f"{cell.label} gives the same images other logits each time in evaluation: switch randomness off there, as "
            "F.dropout(x, p, training=self.training) does"
        )
    elif (first[:1] - alone).abs().max() > SAME * first.abs().max():
        yield (
            f"{cell.label} gives an image other logits alone than among others in evaluation: take no statistics of "
            "the batch there, as F.batch_norm(..., training=self.training) or nn.BatchNorm2d don't"
        )
    if changed := [name for name, was in before.items() if not torch.equal(was, network.state_dict()[name])]:
        yield f"evaluation changes {changed[0]} of {cell.label}: change state only where self.training"


def _prepared(data: Data) -> Tensor:
    mean, std = data.pixel_mean_std
    return data.train.images.float().div_(255).sub_(mean).div_(std)


def _leaves(result: Tensor) -> Iterator[Tensor]:
    """The tensors that a gradient of `result` would reach."""
    seen, ahead = set(), [result.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(leaf := getattr(node, "variable", None), Tensor):
            yield leaf
        ahead += [following for following, _ in node.next_functions]
