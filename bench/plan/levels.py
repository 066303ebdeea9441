"""Levels of factors: what a cell is made of beside its architecture."""

from collections.abc import Iterator, Mapping

Level = bool | int | float | str


class Levels(Mapping[str, Level]):
    """One level per factor, by the factor's name. Immutable and hashable; the order of the names doesn't count."""

    __slots__ = ("_hash", "_levels")

    def __init__(self, levels: Mapping[str, Level] | None = None, /, **named: Level) -> None:
        self._levels = {**(levels or {}), **named}
        self._hash = hash(frozenset(self._levels.items()))

    def __getitem__(self, name: str) -> Level:
        return self._levels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._levels)

    def __len__(self) -> int:
        return len(self._levels)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Levels) and self._levels == other._levels

    def __reduce__(self) -> tuple[type["Levels"], tuple[dict[str, Level]]]:
        # The hash of a text differs from process to process, so it doesn't travel.
        return Levels, (self._levels,)

    def __repr__(self) -> str:
        return f"Levels({', '.join(f'{name}={level!r}' for name, level in self._levels.items())})"


def format_level(level: Level) -> str:
    """As rows and people write it: off, on, 0.1, basic."""
    if isinstance(level, bool):
        return "on" if level else "off"
    return str(level)
