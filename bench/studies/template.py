"""Does the width, batch norm or label smoothing matter on handwritten digits?

    bench try my_study.py     half a minute: does everything hold, and how long will it take?
    bench run my_study.py     trains what isn't recorded yet, a minute or two, and reports
    bench list my_study.py    what it compares

Change anything: what a change touches is trained again, the rest stays.
"""

from functools import partial

from torch import nn
from torch.nn import functional as F

from bench.study import Factor, Recipe, Study


def tiny(shape: tuple[int, int, int], classes: int, *, width: int = 16, batch_norm: bool = True) -> nn.Module:
    """Two small convolutions."""
    # Images come as floats (N, channels, height, width), `shape` is (channels, height, width); a network gives each
    # image a logit a class. A keyword is a factor that can be switched, its default is the network as you mean it.
    channels = shape[0]

    def block(inputs: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(width)] if batch_norm else []
        return [nn.Conv2d(inputs, width, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *block(channels), *block(width), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, classes)
    )


def smoothed(recipe: Recipe, level: float) -> Recipe:
    """Trains on labels that are a little unsure."""
    # A recipe has with_loss, with_optimizer, with_schedule, with_batch (mixup, cutout, ...), with_teacher,
    # with_before_step and with_after_step; each says in its help what it is called with.
    return recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))


STUDY = Study(
    architectures=[tiny],  # more of them, or a built-in one by its name
    factors=[
        # Of the network: a keyword of the builder, here with the levels to compare. `off` is the first level.
        Factor("width", levels=(8, 16, 32)),
        # Of the training: `change` makes the recipe of every level that isn't `off`.
        Factor("label_smoothing", levels=(0.0, 0.1), change=smoothed),
        # batch_norm, augmentation and scheduler come with the harness; a keyword `dropout` would be switched too.
    ],
    preset={"scheduler": "onecycle"},  # where the training isn't as plain as it can be
    # Yours: image_folder("pictures", size=32), from_arrays(...), npz(...), from_torchvision(...); see bench.study.
    data="digits",
    design="toggles",  # the preset, and every other level of each factor; or presets, factorial, path
    epochs=8,
    batch_size=16,
    seeds=5,
)
