"""torchvision's resnet18 on a hundred classes, from arrays.

    bench try resnet18.py
    bench run resnet18.py

The arrays are made up here, so that the file runs as it is: each class is a pattern of colours, and an image is its
class's pattern with noise. Put your own in their place.
"""

import numpy as np
from torchvision.models import resnet18

from bench.study import Study, from_arrays

NAMES = [f"pattern {number}" for number in range(100)]


def resnet(_shape, classes):
    """A ResNet of 18 layers, without weights from elsewhere."""
    return resnet18(num_classes=classes)  # it takes three channels, as the arrays below have


def things(each, seed):
    """`each` images of every class, uint8 (N, 3, 32, 32), and their labels (N,)."""
    patterns = np.random.default_rng(0).integers(0, 256, (len(NAMES), 3, 4, 4)).repeat(8, axis=2).repeat(8, axis=3)
    labels = np.arange(len(NAMES)).repeat(each)
    noise = np.random.default_rng(seed).normal(0, 60, (len(labels), 3, 32, 32))
    return (patterns[labels] + noise).clip(0, 255).astype(np.uint8), labels


STUDY = Study(
    architectures=[resnet],
    data=from_arrays("things", train=things(each=20, seed=1), test=things(each=5, seed=2), classes=NAMES),
    design="presets",
    epochs=5,
    seeds=3,
)
