"""Classes of many images in one field of a CSV file: base64 of a byte each, or of two where there are more than 256;
and bits, eight to a byte."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def packed_classes(classes: "Sequence[int] | NDArray[np.int64]") -> str:
    """The classes as text."""
    values = np.asarray(classes)
    kind = "<u1" if values.size == 0 or values.max() < 256 else "<u2"
    return b2a_base64(values.astype(kind).tobytes(), newline=False).decode()


def unpacked_classes(text: str, images: int) -> NDArray[np.int64]:
    """The inverse of `packed_classes` for so many images. Raises ValueError for a text that isn't of so many."""
    packed = a2b_base64(text, strict_mode=True)
    width, rest = divmod(len(packed), images) if images else (1, len(packed))
    if rest or width not in (1, 2):
        raise ValueError(f"{len(packed)} bytes are no classes of {images} images")
    return np.frombuffer(packed, dtype=f"<u{width}").astype(np.int64)


def unpacked_bits(text: str, images: int) -> NDArray[np.bool_]:
    """The bits of so many images, first image and high bit first. Raises ValueError for a text that isn't of so
    many."""
    packed = a2b_base64(text, strict_mode=True)
    if len(packed) != -(-images // 8):
        raise ValueError(f"{len(packed)} bytes are no bits of {images} images")
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=images).view(np.bool_)
