"""Does width or dropout matter on my pictures?

Lay pictures out as pictures/train/<class>/... and pictures/test/<class>/..., or as pictures/<class>/... alone, of which
a share becomes the test set; then, where the folder `pictures` is:

    bench try flowers.py      half a minute: does everything hold, and how long will it take?
    bench run flowers.py      trains, and writes a report
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
    seeds=5,
)
