"""Which network of at most 2,000 parameters tells handwritten digits apart?

bench search search.py --budget 10min       # again and again, for as long as you like
bench search search.py --confirm 10         # the winner, and random search's, with ten fresh seeds on the test set
"""

from torch import nn

from bench.study import Factor, Search, Study

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


def chain(shape: tuple[int, int, int], classes: int, *, widths: str = "8 8", activation: str = "relu") -> nn.Module:
    """Convolutions of these widths, each of which halves the maps' sides."""
    layers: list[nn.Module] = []
    before = shape[0]
    for width in map(int, widths.split()):
        convolution = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), ACTIVATIONS[activation]()]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def suggest(trial, limit):  # an Optuna trial, and the most parameters that a network may have  # noqa: ARG001
    """One to four widths, and an activation."""
    depth = trial.suggest_int("depth", 1, 4)
    widths = [trial.suggest_int(f"width{number}", 4, 16) for number in range(depth)]
    return {
        "widths": " ".join(map(str, widths)),  # no factor below: any text is a level
        "activation": trial.suggest_categorical("activation", list(ACTIVATIONS)),
    }


STUDY = Study(
    architectures=[chain],
    factors=[Factor("activation", tuple(ACTIVATIONS))],
    search=Search(chain, suggest, parameters=2_000),
    data="digits",
    epochs=9,
    batch_size=16,
)
