"""From pictures, as PIL reads them, to pixels."""

import math
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.errors import UsageError
from bench.sources.reading import unreadable

Pixels = npt.NDArray[np.uint8]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_GREY = ("1", "L", "F")
_SEE_THROUGH = ("LA", "La", "PA", "RGBA", "RGBa")


def read_picture(path: Path, size: tuple[int, int] | None, channels: int | None) -> Pixels:
    """As `picture_pixels` does, of a file. Raises UsageError that names it."""
    try:
        with warnings.catch_warnings():
            # What a library only warns of here, spoilt remarks in a file, leaves the picture as it is.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return picture_pixels(picture, size, channels)
    except UnidentifiedImageError:
        raise UsageError(f"{path} can't be read as a picture: it is none, or damaged from its beginning") from None
    except Exception as error:
        raise unreadable(path, "as a picture", error) from None


def picture_pixels(picture: Image.Image, size: tuple[int, int] | None, channels: int | None) -> Pixels:
    """A picture as uint8 (H, W, C), upright; scaled to `size` (height, width), whatever its proportions, unless that is
    None. With `channels` None it keeps what it has: 1 when it is grey, 4 when it has transparency, else 3."""
    upright = ImageOps.exif_transpose(picture)
    if channels is None:
        see_through = upright.mode in _SEE_THROUGH or "transparency" in upright.info
        grey = upright.mode in _GREY or upright.mode.startswith("I")
        channels = 4 if see_through else 1 if grey else 3
    converted = _in_eight_bits(upright).convert(MODES[channels])
    if size is not None and converted.size != size[::-1]:
        converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.array(converted, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)


def stacked(pictures: Iterable[tuple[object, Pixels]]) -> Pixels:
    """Pictures (H, W, C) and what a message calls them, as uint8 (N, C, H, W) with as many channels as the one that has
    most: grey becomes coloured, and what isn't transparent opaque. Raises UsageError for pictures of unequal size."""
    found = list(pictures)
    first_at, first = found[0]
    for at, pixels in found:
        if pixels.shape[:2] != first.shape[:2]:
            sizes = ["x".join(map(str, array.shape[:2])) for array in (first, pixels)]
            raise UsageError(f"{first_at} is {sizes[0]} and {at} {sizes[1]}: give size=(height, width) to scale them")
    channels = max(pixels.shape[2] for _, pixels in found)
    shape = (len(found), channels, *first.shape[:2])
    try:
        result = np.empty(shape, np.uint8)
    except MemoryError:
        gigabytes = math.prod(shape) / 2**30
        raise UsageError(
            f"{len(found):,} pictures would take {gigabytes:,.0f} GB of memory: give a smaller size"
        ) from None
    for place, (_, pixels) in zip(result, found, strict=True):
        place[:3] = np.moveaxis(pixels[..., :3], 2, 0)
        if channels == 4:
            place[3] = pixels[..., 3] if pixels.shape[2] == 4 else 255
    return result


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """Of pictures with more than 8 bits PIL would cut everything above 255 off."""
    if picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError("its pixels are floats, and not all from 0 to 1")
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError("its pixels have more than 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    return picture
