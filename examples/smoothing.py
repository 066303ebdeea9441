"""Label smoothing, the optimiser and mixup on a model that is here already.

    bench data fetch mnist    once: the images
    bench try smoothing.py
    bench run smoothing.py

Without MNIST's files, `bench run smoothing.py --dataset digits` trains on images that come with scikit-learn.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from bench.study import Factor, Study


def smoothed(recipe, level):
    """Targets that are a little unsure (Szegedy et al. 2016)."""
    return recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))


def optimized(recipe, _level):
    """AdamW in place of SGD; a rate that suits the one doesn't suit the other, so STUDY says one for each."""
    return recipe.with_optimizer(lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate))


def mixed(recipe, level):
    """Every image is mixed with another, and its label as well (Zhang et al. 2018); the share is drawn from a beta
    distribution with both parameters `level`."""

    def mix(images, labels, generator):
        # The generator is the trial's own, so that the same seed mixes the same images in the same shares.
        seed = int(torch.randint(2**31, (), generator=generator))
        share = np.random.default_rng(seed).beta(level, level)
        other = torch.randperm(len(images), generator=generator)
        targets = F.one_hot(labels, 10).float()
        return images.lerp(images[other], 1 - share), targets.lerp(targets[other], 1 - share)

    return recipe.with_batch(mix)


STUDY = Study(
    architectures=["model3"],
    data=["mnist", "digits"],
    factors=[
        Factor("label_smoothing", levels=(0.0, 0.1), change=smoothed),
        Factor("optimizer", levels=("sgd", "adamw"), change=optimized),
        Factor("mixup", levels=("off", 0.2), change=mixed),
    ],
    rates={"sgd": 0.03, "adamw": 0.005},
    rates_by=["optimizer"],
)
