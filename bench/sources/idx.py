"""Files in the IDX format.

Two bytes of 0, one for the type of the values, one for the number of axes, the size of each axis as four bytes
big-endian, and the values (LeCun, Cortes and Burges 1998).
"""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.sources.dataset import Classes, Dataset, checked_classes, checked_name
from bench.sources.place import place_of

if TYPE_CHECKING:
    import numpy as np

    from bench.train.data import Data

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# No byte that is packed with gzip holds more than this many.
_MOST_PACKED = 1032
_BLOCK = 2**20


def from_idx(
    name: str,
    train_images: str | Path,
    train_labels: str | Path,
    test_images: str | Path,
    test_labels: str | Path,
    classes: Classes = None,
) -> Dataset:
    """Four files in the IDX format, packed with gzip or not: images of any size, (N, H, W) or with an axis of 1
    to 4 channels, and labels (N,). `classes` is their number or their names in the order of their labels; without it
    there are as many as the training labels tell. Raises UsageError.

    A relative path is looked up beside the file that gives it, then in the current directory.
    """
    checked_name(name)
    known = checked_classes(classes)
    places = [place_of(path) for path in (train_images, train_labels, test_images, test_labels)]

    def paths(_data_dir: Path) -> Sequence[Path]:
        return [place.find() for place in places]

    def load(data_dir: Path) -> "Data":
        return read_idx(name, paths(data_dir), known)

    return Dataset(name, "IDX files", load, paths)


def read_idx(name: str, paths: Sequence[Path], classes: int | tuple[str, ...] | None) -> "Data":
    """The data set in the files of training images, training labels, test images and test labels. Raises UsageError."""
    from bench.sources.making import Labelled, make_data
    from bench.sources.reading import require_file

    for path in paths:
        require_file(path)
    arrays = [_read(path, "labels" if number % 2 else "images") for number, path in enumerate(paths)]
    for images, labels in ((0, 1), (2, 3)):
        if len(arrays[images]) != len(arrays[labels]):
            raise UsageError(
                f"{paths[labels]} has {len(arrays[labels]):,} labels for the {len(arrays[images]):,} images of "
                f"{paths[images].name}"
            )
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        sizes = ["x".join(map(str, array.shape[1:])) for array in (arrays[0], arrays[2])]
        raise UsageError(f"{paths[0]} has images of {sizes[0]}, and {paths[2].name} of {sizes[1]}")
    at = [str(path) for path in paths]
    train = Labelled(arrays[0], arrays[1], at[0], at[1])
    return make_data(name, train, Labelled(arrays[2], arrays[3], at[2], at[3]), classes=classes)


def _read(path: Path, what: str) -> "np.ndarray[Any, Any]":
    """The values of one file, when its type, its sizes and its length agree: a file that says that it is longer than it
    is isn't read, whatever it says."""
    import numpy as np

    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    axes_allowed = (1,) if what == "labels" else (3, 4)
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(4)
            kind, axes = (head[2], head[3]) if len(head) == 4 else (0, 0)
            sizes = file.read(4 * axes) if axes in axes_allowed else b""
            if head[:2] != b"\0\0" or kind not in _TYPES or axes not in axes_allowed or len(sizes) < 4 * axes:
                raise UsageError(f"{path} is no IDX file of {what}")
            shape: tuple[int, ...] = struct.unpack(f">{axes}I", sizes)
            dtype = np.dtype(_TYPES[kind])
            length = math.prod(shape) * dtype.itemsize
            longest = path.stat().st_size * (_MOST_PACKED if packed else 1)
            content = bytearray()
            while length <= longest and len(content) <= length and (block := file.read(_BLOCK)):
                content += block
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} can't be unpacked or read: {' '.join(str(error).split())}") from None
    if len(content) != length or 0 in shape:
        raise UsageError(
            f"{path} {'unpacked ' if packed else ''}is not as long as its header says ({' x '.join(map(str, shape))})"
        )
    return np.frombuffer(content, dtype).reshape(shape)
