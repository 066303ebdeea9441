"""What is asked of a data set, and the few of its images that the rest is tried on."""

import hashlib
from dataclasses import replace

import torch

from bench.train.data import Data, Split
from bench.train.network import shape_text
from bench.trying.checks import Check

FEW = 16

# From how many times as many images in one class as in another accuracy alone misleads.
UNEQUAL = 3

_LONGEST_LIST = 5


def check_data(data: Data) -> Check:
    """Whether there is something to learn of every class, and what a look at the figures should know."""
    train = torch.bincount(data.train.labels, minlength=data.classes)
    test = torch.bincount(data.held_out.labels, minlength=data.classes)
    said = (
        f"{len(data.train):,} training and {len(data.held_out):,} test images of {shape_text(data.input_shape)}, "
        f"{data.classes} classes"
    )
    wrong, notes = [], []
    if absent := _names(data, train == 0):
        wrong.append(f"no training image is of {absent}: give each class some, or leave the class out")
    if unseen := _names(data, (test == 0) & (train > 0)):
        notes.append(f"no test image is of {unseen}: nothing will be known of how well it is told")
    if train.min() > 0 and train.max() >= UNEQUAL * train.min():
        largest = int(train.argmax())
        share = float(test[largest]) / max(len(data.held_out), 1)
        notes.append(
            f"classes have {int(train.min()):,} to {int(train.max()):,} training images: to say {_name(data, largest)} "
            f"always gets {share:.1%} of the test images right"
        )
    if both := len(_digests(data.train) & _digests(data.held_out)):
        notes.append(f"{both:,} of the test images are training images as well: accuracy on them is from memory")
    _, deviation = data.pixel_mean_std
    if float(deviation.min()) == 1.0:
        notes.append("a channel is the same number everywhere in the training images: it says nothing")
    return Check("data", said, wrong, notes)


def few_images(data: Data, count: int) -> Data:
    """`count` training images and FEW test images, from all over the data: real ones, and soon trained on."""
    return replace(data, train=_spread(data.train, count), held_out=_spread(data.held_out, FEW))


def _spread(split: Split, count: int) -> Split:
    taken = split.take(torch.linspace(0, len(split) - 1, min(count, len(split))).round().long())
    return Split(taken.images.clone(), taken.labels.clone())


def _names(data: Data, which: torch.Tensor) -> str:
    names = [_name(data, int(number)) for number in which.nonzero().flatten()]
    more = f" and {len(names) - _LONGEST_LIST} more classes" if len(names) > _LONGEST_LIST else ""
    return ", ".join(names[:_LONGEST_LIST]) + more


def _name(data: Data, number: int) -> str:
    return data.class_names[number] if data.class_names else f"class {number}"


def _digests(split: Split) -> set[bytes]:
    return {hashlib.sha256(image.contiguous().numpy().data).digest() for image in split.images}
