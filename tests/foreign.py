"""A user's folder: a study of networks from the zoo, in a module beside it, with a loss, a change of batches and data
of its own."""

import shutil
from pathlib import Path

ZOO = Path(__file__).with_name("zoo.py")

PARTS = '''"""What the study trains with."""
import torch
import torch.nn.functional as F


def smoothed(logits, labels, level):
    return F.cross_entropy(logits, labels, label_smoothing=level)


def shuffled(images, labels, generator):
    """Mirrors half of the images."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images), labels
'''

STUDY = '''"""Networks of others on data of ours."""
import functools

import nets
import numpy as np
import parts

from bench.study import Factor, Study, from_arrays

draw = np.random.default_rng(0)
labels = draw.integers(3, size=150)
images = (draw.integers(200, size=(150, 3, 12, 16)) + labels[:, None, None, None] * 25).astype("uint8")

smooth = Factor("smooth", (0.0, 0.1),
                change=lambda recipe, level: recipe.with_loss(functools.partial(parts.smoothed, level=level)))
mirror = Factor("mirror", (False, True), change=lambda recipe, _: recipe.with_batch(parts.shuffled))

STUDY = Study(
    architectures=[getattr(nets, name) for name in NAMES],
    factors=[smooth, mirror],
    data=from_arrays("stripes", train=(images[:100], labels[:100]), test=(images[100:], labels[100:]), classes=3),
    epochs=2, seeds=2, batch_size=32, lr=0.02, precision="fp32")
'''


def write_study(folder: Path, names: list[str]) -> Path:
    """The study's file, on these networks of the zoo."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ZOO, folder / "nets.py")
    (folder / "parts.py").write_text(PARTS)
    file = folder / "stripes.py"
    file.write_text(STUDY.replace("NAMES", repr(names)))
    return file
