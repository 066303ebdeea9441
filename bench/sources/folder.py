"""Pictures in a folder a class."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.sources.dataset import (
    Dataset,
    checked_channels,
    checked_class_names,
    checked_name,
    checked_share,
    checked_size,
    name_of,
)
from bench.sources.place import place_of

if TYPE_CHECKING:
    from bench.sources.making import Labelled
    from bench.train.data import Data

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}


def image_folder(
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = 32,
    channels: int | None = None,
    test_share: float = 0.2,
    name: str | None = None,
) -> Dataset:
    """Pictures in folders that are called as their class is: path/train/<class>/... and path/test/<class>/..., or
    path/<class>/...: then a share, the same each time and of every class as much, is the test set.

    Every picture is turned upright and scaled to `size` (a side, or height and width) whatever its proportions; None
    takes them as they are, all of one size. `channels` is 1 (grey), 3 (colours) or 4 (and transparency); None is what
    the pictures need. Classes and pictures count in alphabetical order. Raises UsageError.

    A relative path is looked up beside the file that gives it, then in the current directory.
    """
    place = place_of(path)
    share = checked_share(test_share)
    sides, wanted = checked_size(size), checked_channels(channels)
    called = name_of(Path(os.path.abspath(place.find()))) if name is None else checked_name(name)

    def load(_data_dir: Path) -> "Data":
        from bench.sources.making import make_data

        top = place.find()
        parts = _parts(top)
        classes = _classes(parts[0])
        labelled = [_labelled(part, classes, sides, wanted) for part in parts]
        return make_data(called, *labelled, classes=tuple(classes), test_share=share)

    return Dataset(called, f"pictures in {place.path.name or called}/", load, lambda _: [place.find()])


def _parts(top: Path) -> Sequence[Path]:
    """The folders whose folders are classes: of training and of test pictures, or of all."""
    names = set(_folders(top))
    if {"train", "test"} <= names:
        return top / "train", top / "test"
    if "train" in names and names - {"train"} <= {"val", "valid", "validation"}:
        raise UsageError(f"{top} has a folder train and no folder test: call the one with the test pictures test")
    return (top,)


def _classes(folder: Path) -> Sequence[str]:
    names = _folders(folder)
    if len(names) < 2:
        raise UsageError(
            f"{folder} has {len(names)} folder{'' if len(names) == 1 else 's'} of pictures: there must be one a class, "
            "and two at least"
        )
    return checked_class_names(names)


def _labelled(folder: Path, classes: Sequence[str], size: tuple[int, int] | None, channels: int | None) -> "Labelled":
    from bench.sources.making import Labelled
    from bench.sources.pictures import read_picture, stacked

    paths, labels = [], []
    for name in _folders(folder):
        if name not in classes:
            raise UsageError(f"{folder / name} has test pictures of a class that has no folder of training pictures")
        found = list(_pictures(folder / name))
        paths += found
        labels += [classes.index(name)] * len(found)
    if not paths:
        raise UsageError(f"{folder} has no folders of pictures: there must be one a class")
    images = stacked((path, read_picture(path, size, channels)) for path in paths)
    return Labelled(images, labels, str(folder), str(folder))


def _folders(folder: Path) -> Sequence[str]:
    """The names of the folders in a folder, hidden ones left out, in alphabetical order."""
    if not os.path.isdir(folder):
        state = "is no folder" if os.path.lexists(folder) else "is not there, beside the study file or here"
        raise UsageError(f"{folder} {state}: it should hold a folder of pictures a class")
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise UsageError(f"{folder} can't be read: {error.strerror}") from None


def _pictures(folder: Path) -> Iterator[Path]:
    """The pictures in a folder and in its folders, in alphabetical order. Raises UsageError when there are none."""
    others, empty = [], True
    for path in sorted(_walk(folder)):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in _SUFFIXES:
            others.append(path)
            continue
        if not os.path.isfile(path):  # a pipe would be waited for
            raise UsageError(f"{path} is no file that can be read: remove it")
        empty = False
        yield path
    if empty:
        there = f"{others[0].name} is none of them" if others else "it is empty"
        raise UsageError(f"{folder} has no pictures ({', '.join(sorted(_SUFFIXES))}): {there}")


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder. Links to folders may lead in circles, and are refused."""

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename} can't be read: {error.strerror}")

    for at, folders, files in os.walk(folder, onerror=refuse):
        for name in folders:
            if (Path(at) / name).is_symlink():
                raise UsageError(f"{Path(at) / name} is a link to a folder: put the folder itself there")
        yield from (Path(at) / name for name in files)
