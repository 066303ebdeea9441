"""Does a network of 8,000 parameters learn more from what two wider ones say than from labels?

    bench data fetch mnist    once: the images
    bench run distillation.py --val 10000
    bench run distillation.py

The first run compares on 10,000 training images that neither student nor teachers train on, the second on the test set.
Without MNIST's files, `bench run distillation.py --dataset digits` trains on images that come with scikit-learn.
"""

import re

from architectures.model7 import LAYERS, model7
from bench.study import Factor, Study, Teacher


def student(shape, classes, *, width=1):
    """model7, which the teachers are twice as wide as: 29,072 parameters, of which the student keeps none."""
    return model7(shape, classes, layers=re.sub(r"\d+(?=[CD])", lambda number: str(width * int(number[0])), LAYERS))


STUDY = Study(
    architectures=[student],
    data=["mnist", "digits"],
    factors=[
        Factor("width", levels=(1, 2)),
        Factor(
            "distillation",
            levels=("off", "on"),
            change=lambda recipe, _level: recipe.with_teacher(Teacher({"width": 2}, networks=2)),
            words=("labels alone", "two teachers, twice as wide"),
        ),
    ],
    preset={"augmentation": "advanced", "scheduler": "onecycle"},
    rates=0.1,
    readouts=["ema"],
)
