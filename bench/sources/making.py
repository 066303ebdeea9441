"""From arrays to `Data`: everything is looked at before anything trains on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.errors import UsageError
from bench.sources.labels import Numbered, number_labels
from bench.sources.reading import one_line
from bench.train.data import Data, Split

Array = npt.NDArray[Any]

_RIGHT = "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to 4 channels"
_CHUNK = 4096


@dataclass(frozen=True)
class Labelled:
    """Images and labels as somebody gave them, and what a message calls the two."""

    images: object
    labels: object
    images_at: str
    labels_at: str


def make_data(
    name: str,
    train: Labelled,
    test: Labelled | None = None,
    *,
    classes: int | tuple[str, ...] | None = None,
    test_share: float = 0.2,
) -> Data:
    """Images and labels, as `from_arrays` takes them, in the form that networks train on. Raises UsageError."""
    parts = [train] if test is None else [train, test]
    images = [to_pixels(part.images, part.images_at) for part in parts]
    if len({array.shape[1:] for array in images}) > 1:
        sizes = [
            f"{part.images_at} has images of {_shape(array.shape[1:])}"
            for part, array in zip(parts, images, strict=True)
        ]
        raise UsageError(f"{sizes[0]}, and {sizes[1]}: give them one size and as many channels")
    labels = [_array(part.labels, part.labels_at) for part in parts]
    for part, pixels, given in zip(parts, images, labels, strict=True):
        _require_as_many(part, pixels, given)
    numbered = number_labels(labels, [part.labels_at for part in parts], classes)
    _require_every_class(numbered, parts)
    splits = [_split(*pair) for pair in zip(images, numbered.labels, strict=True)]
    if test is None:
        chosen = _test_places(numbered, test_share, train.labels_at)
        whole = splits[0]
        splits = [whole.take(torch.from_numpy(np.flatnonzero(places))) for places in (~chosen, chosen)]
    return Data(name, splits[0], splits[1], numbered.classes, numbered.names)


def to_pixels(values: object, where: str) -> Array:
    """Images as uint8 (N, C, H, W): whole numbers from 0 to 255 as they are, floats from 0 to 1 rounded to 8 bits,
    booleans as 0 and 255. Raises UsageError, which calls them `where`."""
    return np.ascontiguousarray(_in_eight_bits(_channels_first(_array(values, where), where), where))


def _array(values: Any, where: str) -> Array:
    try:
        if hasattr(values, "detach"):  # a tensor, maybe on a GPU
            values = values.detach().cpu()
            values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
        array = np.asarray(values)
    except Exception as error:
        reason = "they have unequal sizes" if "inhomogeneous" in str(error) else one_line(error)
        raise UsageError(f"{where} can't be made into one array ({reason}): all must have one shape") from None
    if array.dtype.kind == "T" or (array.dtype == object and all(isinstance(value, str) for value in array.flat)):
        return array.astype(str)
    if array.dtype == object:
        raise UsageError(f"{where} can't be made into one array of numbers: it holds objects, or unequal sizes")
    return array


def _channels_first(array: Array, where: str) -> Array:
    if array.dtype.kind not in "buif":
        raise UsageError(f"{where} holds {array.dtype}: pixels are whole numbers from 0 to 255 or floats from 0 to 1")
    if 0 in array.shape[:1]:
        raise UsageError(f"{where} is empty: there must be images")
    if array.ndim not in {3, 4} or 0 in array.shape:
        raise UsageError(f"{where} has shape {array.shape}: right is {_RIGHT}")
    if array.ndim == 3:
        return array[:, None]
    first, last = (1 <= array.shape[axis] <= 4 for axis in (1, 3))
    if first and last:
        raise UsageError(
            f"{where} has shape {array.shape}, which may be channels first or last: with sides of 4 pixels or less, "
            "leave the axis of a single channel out, or pad them to 5"
        )
    if not first and not last:
        raise UsageError(f"{where} has shape {array.shape}: right is {_RIGHT}")
    return array if first else np.moveaxis(array, 3, 1)


def _in_eight_bits(array: Array, where: str) -> Array:
    if array.dtype == np.uint8:
        return array if array.flags.writeable else array.copy()
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    result = np.empty(array.shape, np.uint8)
    floats = array.dtype.kind == "f"
    for start in range(0, len(array), _CHUNK):  # a copy in float64 of all of them may not fit
        part = array[start : start + _CHUNK]
        if floats and not np.isfinite(part).all():
            place = start + int(np.flatnonzero(~np.isfinite(part).reshape(len(part), -1).all(axis=1))[0])
            raise UsageError(f"{where} has a pixel that is not a finite number, in image {place}: mend or drop it")
        low, high = part.min(), part.max()
        if low < 0 or high > (1 if floats else 255):
            right = (
                "floats are from 0 to 1: divide by 255, or leave the normalising to the harness"
                if floats
                else "whole numbers are from 0 to 255: scale them"
            )
            raise UsageError(f"{where} has pixels from {low:g} to {high:g}, and {right}")
        result[start : start + _CHUNK] = np.rint(part.astype(np.float64) * 255) if floats else part
    return result


def _require_as_many(part: Labelled, images: Array, labels: Array) -> None:
    if labels.ndim == 2 and labels.shape[1] > 1 and len(labels) == len(images):
        raise UsageError(f"{part.labels_at} has shape {labels.shape}: give one number or name an image (argmax(1))")
    if labels.ndim != 1 and labels.shape != (len(images), 1):  # (N, 1) as Keras has it
        raise UsageError(f"{part.labels_at} has shape {labels.shape}: right is (N,)")
    if len(labels) != len(images):
        raise UsageError(f"{part.labels_at} has {len(labels):,} labels for {len(images):,} images")


def _require_every_class(numbered: Numbered, parts: list[Labelled]) -> None:
    """That there is something to tell apart, and that nothing is asked for that can't be learnt."""
    train = numbered.labels[0]
    if (train == train[0]).all():
        raise UsageError(f"{parts[0].labels_at} has only {numbered.name(train[0])}: there must be two classes at least")
    if len(parts) == 1:
        return
    unknown = np.setdiff1d(numbered.labels[1], train)
    if len(unknown):
        raise UsageError(
            f"{parts[1].labels_at} has class {numbered.name(unknown[0])}, of which there is no training image: "
            "add some, or leave it out of the test set"
        )


def _test_places(numbered: Numbered, share: float, where: str) -> npt.NDArray[np.bool_]:
    """Which images are the test set: of each class this share, at least one and not all, drawn once and for all."""
    [labels] = numbered.labels
    # RandomState, because numpy promises that its draws stay what they are.
    random = np.random.RandomState(0)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        if len(places) < 2:
            raise UsageError(
                f"{where} has class {numbered.name(label)} once: to be split in two, a class needs two images"
            )
        count = min(max(1, int(share * len(places) + 0.5)), len(places) - 1)
        chosen[random.permutation(places)[:count]] = True
    return chosen


def _split(images: Array, labels: Array) -> Split:
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _shape(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"
