"""Does width or dropout matter on textures?

The study of examples/flowers.py, to the end: on pictures that everyone can have, at learning rates that were chosen.

    pip install scikit-image
    python pictures.py          cuts them from photographs of brick, grass and gravel
    bench select textures.py    the learning rates below, by training images that were held out
    bench run textures.py       the rows in results/ and the report in reports/
"""

from torch import nn

from bench.study import Factor, Study, image_folder


def tiny(shape, classes, *, width=16, batch_norm=True, dropout=0.0):  # shape: (channels, height, width)
    """A convolution and a mean."""
    norm = [nn.BatchNorm2d(width)] if batch_norm else []
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3),
        *norm,
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )


STUDY = Study(
    architectures=[tiny],
    factors=[Factor("width", levels=(8, 16, 32), off=8)],
    data=image_folder("pictures", size=32),
    epochs=30,
    seeds=20,
    rates={
        ("step", False): 0.3,
        ("step", True): 0.3,
        ("cosine", False): 0.1,
        ("cosine", True): 0.1,
        ("onecycle", False): 0.1,
        ("onecycle", True): 0.1,
    },
    rates_by=["scheduler", "batch_norm"],
)
