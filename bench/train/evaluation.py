"""How networks are measured: every held-out image once, undistorted, in float32."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.train.data import Split

EVALUATION_BATCH = 200


def evaluate(network: nn.Module, split: Split, prepare: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The class that each image is given, int64 (N, K), and the mean losses in nats, float64 (K,), of K members that
    the network gives logits (N, K, classes) for; of a network with logits (N, classes) K is 1. On the CPU.

    `prepare` turns float images (N, C, H, W) in [0, 1] into what the network takes. Of equal logits the first counts.
    """
    network.eval()
    predicted, losses = [], []
    with torch.inference_mode():
        for images, labels in zip(
            split.images.split(EVALUATION_BATCH), split.labels.split(EVALUATION_BATCH), strict=True
        ):
            logits = network(prepare(images.float().div_(255))).float()
            members = logits.unsqueeze(1) if logits.ndim == 2 else logits
            targets = labels.to(logits.device)[:, None].expand(members.shape[:2])
            predicted.append(members.argmax(2))
            loss = F.cross_entropy(members.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
            losses.append(loss.double().sum(0))
    return torch.cat(predicted).cpu(), torch.stack(losses).sum(0).cpu() / len(split)
