"""Images and labels that the program already holds, and those in numpy's `.npz` files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.sources.dataset import Classes, Dataset, checked_classes, checked_name, checked_share, name_of
from bench.sources.place import place_of

if TYPE_CHECKING:
    from bench.train.data import Data

# What the arrays of a `.npz` file are called: (images, labels) for training and testing, or of all images.
_APART = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
_TOGETHER = (("images", "labels"), ("x", "y"), ("X", "y"))


def from_arrays(
    name: str,
    train: tuple[object, object],
    test: tuple[object, object] | None = None,
    *,
    classes: Classes = None,
    test_share: float = 0.2,
) -> Dataset:
    """Images and labels as numpy arrays, torch tensors or lists.

    Images: (N, H, W), (N, H, W, C) or (N, C, H, W), 1 to 4 channels, all of one size; whole numbers from 0 to 255, or
    floats from 0 to 1, which are rounded to 8 bits, or booleans. Labels: (N,) whole numbers from 0, or names.
    `classes` is their number or their names in the order of their labels; without it there are as many as the training
    labels tell, and names count in alphabetical order. Without `test` a share of the images, the same each time and of
    every class as much, is the test set. Raises UsageError, on what the arrays hold when they are loaded.
    """
    checked_name(name)
    known, share = checked_classes(classes), checked_share(test_share)
    pairs = [_pair("train", train), *([] if test is None else [_pair("test", test)])]

    def load(_data_dir: Path) -> "Data":
        from bench.sources.making import Labelled, make_data

        parts = [
            Labelled(*pair, f"the array of {split} images of {name}", f"the array of {split} labels of {name}")
            for pair, split in zip(pairs, ("training", "test"), strict=False)
        ]
        return make_data(name, *parts, classes=known, test_share=share)

    return Dataset(name, "arrays of the study", load)


def npz(path: str | Path, *, name: str | None = None, classes: Classes = None, test_share: float = 0.2) -> Dataset:
    """A `.npz` file of numpy's with arrays x_train, y_train, x_test and y_test, or train_images, train_labels,
    test_images and test_labels, or only images and labels (x and y): then a share is the test set. What the arrays
    hold is as for `from_arrays`. Raises UsageError.

    A relative path is looked up beside the file that gives it, then in the current directory.
    """
    place = place_of(path)
    known, share = checked_classes(classes), checked_share(test_share)
    called = name_of(place.path) if name is None else checked_name(name)

    def load(_data_dir: Path) -> "Data":
        from bench.sources.making import Labelled, make_data

        found = place.find()
        arrays = _arrays(found)
        for keys in (*_APART, *_TOGETHER):
            if all(key in arrays for key in keys):
                at = [f"{key} of {found}" for key in keys]
                values = [arrays[key] for key in keys]
                parts = [Labelled(values[i], values[i + 1], at[i], at[i + 1]) for i in range(0, len(keys), 2)]
                return make_data(called, *parts, classes=known, test_share=share)
        raise UsageError(
            f"{found} holds {', '.join(sorted(arrays)) or 'no arrays'}: it should hold x_train, y_train, x_test and "
            "y_test, or images and labels"
        )

    return Dataset(called, f"arrays in {place.path.name}", load, lambda _: [place.find()])


def _pair(which: str, values: object) -> tuple[object, object]:
    if not isinstance(values, tuple | list) or len(values) != 2:
        raise UsageError(f"{which} is a pair (images, labels), not {_kind(values)}")
    return values[0], values[1]


def _kind(values: object) -> str:
    return f"{len(values)} things" if isinstance(values, tuple | list) else type(values).__name__


def _arrays(path: Path) -> Mapping[str, object]:
    """The arrays of a file that have the names of images or labels. Nothing is unpickled."""
    import numpy as np

    from bench.sources.reading import require_file, unreadable

    require_file(path)
    wanted = {key for keys in (*_APART, *_TOGETHER) for key in keys}
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.ndarray):
                return {key: file[key] if key in wanted else None for key in file.files}
    except Exception as error:
        raise unreadable(path, "as arrays of numpy's", error) from None
    raise UsageError(f"{path} holds one array without a name: write images and labels with np.savez")
