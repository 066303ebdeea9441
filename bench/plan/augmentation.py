"""How training images are distorted, level by level.

Published is little: that the training images of model1 and model2 were distorted somehow (their training accuracy stays
below test accuracy), and that model3's were rotated by up to 7 degrees either way, filled with 1 of 255. Chosen here:

- basic: one of BASIC_CANDIDATES, as `bench select augmentation --dataset mnist` finds on held-out training images;
- advanced: the published rotation, with a shift of up to 2 pixels and a change of size by up to a tenth.

Every one of them brings the published pattern out, training accuracy below test accuracy, and fills with background, 0.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Uniform ranges, each symmetric about nothing happening: degrees, pixels, and a share of the size."""

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0


BASIC_CANDIDATES = {
    "shift": Augmentation(shift=1.5),
    "rotation": Augmentation(rotation=7.0),
    "rotation_shift": Augmentation(rotation=7.0, shift=1.0),
}

# The levels of the factor `augmentation`, and the candidates under names of their own for `bench select`.
AUGMENTATIONS = {
    "none": Augmentation(),
    "basic": BASIC_CANDIDATES["rotation_shift"],
    "advanced": Augmentation(rotation=7.0, shift=2.0, scale=0.1),
    **BASIC_CANDIDATES,
}
