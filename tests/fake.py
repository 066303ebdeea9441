"""Which technique tells pebbles apart?

A study that shares nothing with the built-in one but the harness: other networks, 3 channels, 12x20 pixels, 7 named
classes of unequal size, factors of its own. Tests run `bench COMMAND tests/fake.py`, and `tests/fake.py:MANY` for 100
architectures and 30 factors.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.study import Architecture, Factor, Recipe, Study, from_arrays

NAMES = ("agate", "basalt", "chert", "dolomite", "flint", "gneiss", "jasper")
SHAPE = (3, 12, 20)

# How many of a hundred images are of each class.
SHARES = (40, 25, 14, 9, 6, 4, 2)

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def otter(
    shape: tuple[int, int, int], classes: int, *, width: int = 8, activation: str = "relu", batch_norm: bool = False
) -> nn.Module:
    """Two convolutions and the mean of their maps."""
    norms = [nn.BatchNorm2d(width)] if batch_norm else []
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3),
        *norms,
        ACTIVATIONS[activation](),
        nn.Conv2d(width, width, 3, stride=2),
        ACTIVATIONS[activation](),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )


def heron(shape: tuple[int, int, int], classes: int, *, width: int = 4, dropout: float = 0.0) -> nn.Module:
    """One hidden layer on all pixels."""
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, classes)
    )


def smoothed(recipe: Recipe, level: float) -> Recipe:
    return recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))


def noisy(recipe: Recipe, level: str) -> Recipe:
    return recipe.with_batch(partial(_add_noise, {"weak": 0.05, "strong": 0.2}[level]))


def _add_noise(size: float, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return images + size * torch.randn(images.shape, generator=generator), targets


def pebbles(train: int = 300, test: int = 150) -> object:
    """Each class has a colour and a stripe; the rest is noise. The same images every time."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 200, (len(NAMES), *SHAPE))

    def split(count: int) -> tuple[np.ndarray, np.ndarray]:
        shares = np.array(SHARES) / sum(SHARES)
        labels = np.concatenate([np.arange(len(NAMES)), generator.choice(len(NAMES), count - len(NAMES), p=shares)])
        images = patterns[labels] + generator.integers(0, 55, (count, *SHAPE))
        return images.astype(np.uint8), labels

    return from_arrays("pebbles", train=split(train), test=split(test), classes=NAMES)


def many() -> Study:
    """100 architectures and 30 factors: of the network and of the training, of two to four levels of every type."""
    return Study(
        architectures=[Architecture(partial(_one_of_many, number), name=f"net{number:03d}") for number in range(100)],
        factors=[_factor(number) for number in range(30)],
        data=pebbles(),
        design="toggles",
        seeds=3,
        epochs=2,
        title="Many techniques on many networks",
    )


# What the keyword of a network factor of the many may be, by its number; the first level is off.
_LEVELS = ((False, True), (0.0, 0.25, 0.5), (4, 8, 16, 32), ("plain", "gated", "dense"))
_NETWORK_FACTORS = 12


def _factor(number: int) -> Factor:
    levels = _LEVELS[number % len(_LEVELS)]
    change = None if number < _NETWORK_FACTORS else partial(_unlike, number)
    return Factor(f"technique{number:02d}", levels, levels[0], change)


def _unlike(number: int, recipe: Recipe, level: object) -> Recipe:
    """A loss of another sharpness for every factor and level."""
    sharper = 1 + 0.01 * number + 0.001 * len(str(level))
    return recipe.with_loss(partial(_sharpened, sharper))


def _sharpened(by: float, logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(by * logits, targets)


def _one_of_many(
    number: int,
    shape: tuple[int, int, int],
    classes: int,
    *,
    technique00: bool = False,
    technique01: float = 0.0,
    technique02: int = 4,
    technique03: str = "plain",
    technique04: bool = False,
    technique05: float = 0.0,
    technique06: int = 4,
    technique07: str = "plain",
    technique08: bool = False,
    technique09: float = 0.0,
    technique10: int = 4,
    technique11: str = "plain",
) -> nn.Module:
    """Every level makes a network of its own."""
    width = 2 + number + technique02 + technique06 + technique10
    words = ("plain", "gated", "dense")
    layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3), nn.ReLU()]
    layers += [nn.BatchNorm2d(width) for on in (technique00, technique04, technique08) if on]
    layers += [nn.Dropout(rate) for rate in (technique01, technique05, technique09) if rate]
    layers += [nn.Hardtanh(-1 - words.index(word), 1) for word in (technique03, technique07, technique11)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


STUDY = Study(
    architectures=[otter, heron],
    factors=[
        Factor("width", (4, 8, 16)),
        Factor("activation", ("relu", "gelu", "tanh")),
        Factor("smoothing", (0.0, 0.1, 0.2), 0.0, smoothed, summary="how much of each label the other classes get"),
        Factor("noise", ("none", "weak", "strong"), "none", noisy, summary="noise on training images"),
    ],
    data=pebbles(),
    epochs=2,
    seeds=2,
    batch_size=32,
)

MANY = many()
