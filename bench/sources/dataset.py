"""A data set that can be loaded, and what may be said of it beforehand."""

import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError, near_matches
from bench.plan.catalogue import built_in, catalogue

if TYPE_CHECKING:
    from bench.train.data import Data

MOST_CLASSES = 1000
# A number of classes, or their names in the order of their labels; None: what the training labels tell.
Classes = int | Sequence[str] | None


def no_files(_data_dir: Path) -> Sequence[Path]:
    """What a data set needs whose images are in the program's hands, or whose files nobody can name beforehand."""
    return ()


@dataclass(frozen=True)
class Dataset:
    """A data set that can be loaded. `load` and `files` are given the folder of --data-dir; `files` says which must be
    there. `load` raises a BenchError that says in one line what is wrong with which file, image or label. `epochs` and
    `batch_size` are what a study trains with on it that says none: a small set in batches of 64 has too few steps."""

    name: str
    title: str
    load: Callable[[Path], "Data"]
    files: Callable[[Path], Sequence[Path]] = no_files
    epochs: int = 15
    batch_size: int = 64

    def present(self, data_dir: Path) -> bool:
        """Whether its files are there; always for a data set without files."""
        return all(_is_there(path) for path in self.files(data_dir))


def _is_there(path: Path) -> bool:
    """Whether there is such a path. Raises OSError where one may not look."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def find_dataset(name: str) -> Dataset:
    """The study's data set called `name`. Raises UsageError with near matches."""
    known = catalogue().datasets
    if name not in known:
        raise UsageError(f"no data set is called {name!r}: {near_matches(name, known)}")
    found: Dataset = known[name]
    return found


def find_other_dataset(name: str) -> Dataset:
    """The study's data set called `name`, or the built-in one. Raises UsageError with near matches."""
    known = {**built_in().datasets, **catalogue().datasets}
    if name not in known:
        raise UsageError(f"a phase trains on {name!r}, and no data set is called so: {near_matches(name, known)}")
    found: Dataset = known[name]
    return found


def choose_dataset(name: str | None, data_dir: Path) -> tuple[Dataset, str]:
    """The data set to use and, in half a sentence, why. Without a name: the study's first whose files are there."""
    if name is not None:
        return find_dataset(name), "as asked"
    known: list[Dataset] = list(catalogue().datasets.values())
    for at, dataset in enumerate(known):
        if dataset.present(data_dir):
            absent = [one.name for one in known[:at]]
            reason = f"its files are in {data_dir}" if dataset.files(data_dir) else "needs no files"
            return dataset, f"{reason}; no {' or '.join(absent)} files in {data_dir}" if absent else reason
    return known[0], "the study's"


def checked_name(name: object) -> str:
    """A name that may be a folder's and stand in a row. Raises UsageError."""
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]{0,79}", name):
        raise UsageError(f"a data set's name is a plain word like flowers, of 80 letters at most, not {name!r}")
    return name


def name_of(path: Path) -> str:
    """A data set's name after the file or folder that it is in."""
    return re.sub(r"[^\w.+-]+", "_", path.stem if path.suffix == ".npz" else path.name).strip("_.+-")[:80] or "data"


def checked_classes(classes: object) -> int | tuple[str, ...] | None:
    """Raises UsageError for what is neither None, a number of classes nor their names."""
    if classes is None:
        return None
    if isinstance(classes, Iterable) and not isinstance(classes, str | bytes | Mapping | Set):
        return checked_class_names(classes)
    try:
        count = operator.index(classes)  # type: ignore[arg-type]
    except TypeError:
        count = -1
    if isinstance(classes, bool) or count == -1:
        raise UsageError(f"classes is their number or a list of their names, not {classes!r}")
    return _checked_count(count)


def checked_class_names(names: Iterable[object]) -> tuple[str, ...]:
    """The names of classes, in their order. Raises UsageError."""
    known: dict[str, None] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise UsageError(f"the name of a class is text on one line, not {name!r}")
        if name in known:
            raise UsageError(f"two classes are called {name!r}: each needs a name of its own")
        known[str(name)] = None
    _checked_count(len(known))
    return tuple(known)


def checked_share(share: object) -> float:
    """The share of the images that become the test set. Raises UsageError."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise UsageError(f"test_share is a number between 0 and 1, such as 0.2, not {share!r}")
    return float(share)


def checked_size(size: object) -> tuple[int, int] | None:
    """A side, or (height, width), in pixels; None leaves pictures as they are. Raises UsageError."""
    if size is None:
        return None
    sides: Any = size if isinstance(size, tuple | list) else (size, size)
    try:
        height, width = map(operator.index, sides)
    except (TypeError, ValueError):
        height = width = 0
    if isinstance(size, bool) or not (1 <= height <= 65_500 and 1 <= width <= 65_500):
        raise UsageError(f"size is a number of pixels, or (height, width), not {size!r}")
    return height, width


def checked_channels(channels: object) -> int | None:
    """1 (grey), 3 (colours) or 4 (and transparency); None keeps what pictures have. Raises UsageError."""
    if channels is None or (channels in (1, 3, 4) and isinstance(channels, int) and not isinstance(channels, bool)):
        return channels
    raise UsageError(f"channels is 1 (grey), 3 (colours), 4 (and transparency) or None, not {channels!r}")


def _checked_count(count: int) -> int:
    if not 2 <= count <= MOST_CLASSES:
        raise UsageError(f"there must be 2 to {MOST_CLASSES:,} classes, not {count:,}")
    return count
