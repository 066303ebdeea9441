"""What a chart shows where there is more than can be read: the most telling part, and a sentence that says so."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

# Rows of a chart, panels of a chart, and models with a name of their own, that can still be read.
MOST_ROWS = 40
MOST_PANELS = 12
MOST_NAMES = 12


def fold(
    items: Sequence[T], most: int, telling: Callable[[T], Any], *, what: str, first: str, table: str = ""
) -> tuple[list[T], str]:
    """The `most` items for which `telling` is the highest, in the order given, and a sentence for the caption.

    `what` calls the items by name and `first` says which are shown, as in "40 of 120 comparisons: the largest";
    `table` is where all of them stand. The sentence is empty where nothing is left out.
    """
    if len(items) <= most:
        return list(items), ""
    chosen = set(sorted(range(len(items)), key=lambda place: telling(items[place]), reverse=True)[:most])
    where = f"; tables/{table}.csv beside the charts has them all" if table else ""
    sentence = f" Shown are {most:,} of {len(items):,} {what}: {first}{where}."
    return [item for place, item in enumerate(items) if place in chosen], sentence
