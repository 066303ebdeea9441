"""Trainings that ended where they began: no better than guessing."""

import math

import numpy as np
from scipy import stats

# A network that guesses stays below this share of its own sampling distribution.
_SURELY = 0.975


def collapsed(accuracies: np.ndarray, chance: float, step: float) -> int:
    """How many of the accuracies lie within the sampling error of `chance`, that of always saying the commonest class.
    `step` is one image of the test set; where its size isn't known, only what is not above chance counts."""
    return int((accuracies <= chance_limit(chance, step)).sum())


def chance_limit(chance: float, step: float) -> float:
    """The accuracy up to which a network may have guessed."""
    if step == 0:
        return chance
    images = round(1 / step)
    return float(stats.binom.ppf(_SURELY, images, chance)) / images if 0 < chance < 1 else math.nan
