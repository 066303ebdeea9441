"""How training images are distorted, level by level. What lies outside an image is background, 0.

- basic: one of BASIC_CANDIDATES, as `bench select augmentation` found on held-out training images of the built-in
  study;
- advanced: a rotation of up to 7 degrees, a shift of up to 2 pixels, and a change of size by up to a tenth.
"""

from dataclasses import dataclass

from bench.plan.catalogue import looked_up_level
from bench.plan.levels import Level, Levels


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


def augmentation_of(levels: Levels) -> Augmentation:
    """What the harness does to a cell's training images; nothing where the study has an augmentation of its own."""
    return AUGMENTATIONS[looked_up_level("augmentation", levels)]


class _AtLevel:
    """As `augmentation_of`, by the level of the cell's factor `augmentation` alone."""

    def __getitem__(self, level: Level) -> Augmentation:
        return augmentation_of(Levels(augmentation=level))


# A subscript, not a call: so the loop that trains stacks is written, and the keys of its rows hold how it is written.
AT_LEVEL = _AtLevel()
