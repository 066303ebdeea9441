"""From what somebody calls the classes to their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import UsageError, near_matches
from bench.sources.dataset import MOST_CLASSES, checked_class_names

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Numbered:
    """Labels, int64 (N,) a split, from 0 to `classes` - 1, and what the classes are called."""

    labels: tuple[Array, ...]
    classes: int
    names: tuple[str, ...] | None

    def name(self, label: int) -> str:
        """What a message calls a class."""
        return repr(self.names[label]) if self.names else str(label)


def number_labels(given: Sequence[Array], where: Sequence[str], classes: int | tuple[str, ...] | None) -> Numbered:
    """Labels of the training set, and of the test set if there is one, as numbers. `where` is what messages call them.

    Names are numbered in the order of `classes`, or in alphabetical order. Raises UsageError.
    """
    flat = [labels.reshape(-1) for labels in given]
    kinds = ["name" if labels.dtype.kind in "US" else "number" for labels in flat]
    if len(set(kinds)) > 1:
        raise UsageError(f"{where[0]} holds {kinds[0]}s, and {where[1]} {kinds[1]}s: give both alike")
    if kinds[0] == "name":
        return _names(flat, where, classes)
    return _numbers(flat, where, classes)


def _numbers(given: Sequence[Array], where: Sequence[str], classes: int | tuple[str, ...] | None) -> Numbered:
    for labels, at in zip(given, where, strict=True):
        if labels.dtype.kind not in "bui":
            raise UsageError(f"{at} holds {labels.dtype}: a label is a whole number from 0, or a name")
        if labels.min() < 0:
            raise UsageError(f"{at} has label {labels.min()}: labels count from 0")
    largest = [int(labels.max()) for labels in given]
    names = classes if isinstance(classes, tuple) else None
    count = len(names) if names is not None else classes if isinstance(classes, int) else largest[0] + 1
    for label, at in zip(largest, where, strict=True):
        if classes is not None and label >= count:
            raise UsageError(f"{at} has label {label}, and there are {count:,} classes: labels are 0 to {count - 1}")
    if count > MOST_CLASSES:
        raise UsageError(f"{where[0]} has label {largest[0]:,}, and there may be {MOST_CLASSES:,} classes at most")
    if classes is None:
        absent = np.setdiff1d(np.arange(count), given[0])
        if len(absent):
            mend = "subtract 1, if they count from 1" if absent[0] == 0 else "leave none out"
            raise UsageError(
                f"{where[0]} goes to {largest[0]} without any {absent[0]}, and labels are 0, 1, 2 and so on: {mend}; "
                f"or say classes={count}, if there are so many"
            )
    return Numbered(tuple(labels.astype(np.int64) for labels in given), max(count, 2), names)


def _names(given: Sequence[Array], where: Sequence[str], classes: int | tuple[str, ...] | None) -> Numbered:
    texts = [_as_text(labels, at) for labels, at in zip(given, where, strict=True)]
    if isinstance(classes, tuple):
        names = classes
    else:
        found = sorted(set(texts[0].tolist()))
        if len(found) < 2:
            raise UsageError(f"{where[0]} has only {found[0]!r}: there must be two classes at least")
        names = checked_class_names(found)
        if classes is not None and classes != len(names):
            raise UsageError(f"{where[0]} has {len(names):,} names, and classes is {classes:,}: make them one number")
    numbers = {name: number for number, name in enumerate(names)}
    for text, at in zip(texts, where, strict=True):
        for name in np.unique(text).tolist():
            if name not in numbers:
                known = "no class that was given" if classes else "of which there is no training image"
                others = near_matches(name, names) if len(names) <= 20 else f"there are {len(names)} others"
                raise UsageError(f"{at} has class {name!r}, {known}: {others}")
    return Numbered(
        tuple(np.array([numbers[name] for name in text.tolist()], dtype=np.int64) for text in texts), len(names), names
    )


def _as_text(labels: Array, where: str) -> Array:
    if labels.dtype.kind == "U":
        return labels
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{where} has a name that is not text: write names as UTF-8") from None
