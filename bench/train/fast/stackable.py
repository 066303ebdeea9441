"""Which networks can be stacked: known by looking at them, and by trying."""

from collections.abc import Hashable, Sequence

import torch
from torch import nn

from bench.train.fast.activation import Activation
from bench.train.fast.stacked import StackedNetwork


def stack_kind(network: nn.Module, input_shape: Sequence[int]) -> Hashable | None:
    """What fused networks must share to train as one stack, images of `input_shape` (channels, height, width) being
    what they take; None for a network that can't be stacked. Leaves torch's generator as it was."""
    said = None if _shares_or_freezes(network) or not _drops_alike(network) else _settings(network)
    return said if said is not None and _stacks(network, input_shape) else None


def can_stack(network: nn.Module, input_shape: Sequence[int]) -> bool:
    """Whether a fused network can train in a stack."""
    return stack_kind(network, input_shape) is not None


def _shares_or_freezes(network: nn.Module) -> bool:
    """Whether something in a network is used twice, doesn't learn, or has hooks: a stack is made layer by layer, from
    what the layers say of themselves."""
    modules = [module for _, module in network.named_modules(remove_duplicate=False)]
    owned = [parameter for module in modules for parameter in module.parameters(recurse=False)]
    hooks = any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    twice = len(set(map(id, modules))) < len(modules) or len(set(map(id, owned))) < len(owned)
    return hooks or twice or not all(parameter.requires_grad for parameter in owned)


def _drops_alike(network: nn.Module) -> bool:
    """Whether all layers of a network drop values, or none does: a stack draws for all or none."""
    return len({module.rate > 0 for module in network.modules() if isinstance(module, Activation)}) == 1


def _settings(module: nn.Module) -> tuple[Hashable, ...]:
    """All that a network's layers say of themselves but their dropout rates."""
    said = f"pool={module.pool}" if isinstance(module, Activation) else module.extra_repr()
    return type(module), said, *((name, _settings(child)) for name, child in module.named_children())


def _stacks(network: nn.Module, input_shape: Sequence[int]) -> bool:
    """Whether two of a network, stacked, train, and give the logits that it gives."""
    state, training = torch.get_rng_state(), network.training
    try:
        torch.manual_seed(0)
        images = torch.rand(2, *input_shape)
        twice = torch.cat([images, images], 1)
        with torch.no_grad():
            # What training moves, running means, is the stack's own; the networks keep theirs.
            StackedNetwork([network, network]).train()(twice)
            logits, expected = StackedNetwork([network, network]).eval()(twice), network.eval()(images)
        return bool(torch.allclose(logits, expected[:, None].expand_as(logits), rtol=1e-3, atol=1e-4))
    except (ValueError, RuntimeError, TypeError, AttributeError):
        return False
    finally:
        network.train(training)
        torch.set_rng_state(state)
