"""Catalogues for tests: the built-in study's, grown."""

from collections.abc import Iterable
from dataclasses import replace

from bench.plan.architecture import Architecture
from bench.plan.catalogue import Catalogue, catalogue
from bench.plan.factors import Factor


def grown(factors: Iterable[Factor] = (), architectures: Iterable[Architecture] = ()) -> Catalogue:
    """The catalogue in use with more factors and architectures."""
    known = catalogue()
    return replace(
        known,
        factors=(*known.factors, *factors),
        architectures={**known.architectures, **{one.name: one for one in architectures}},
    )


def untouched(recipe: object, _level: object) -> object:
    """A change of the recipe that changes nothing: its levels are part of the key all the same."""
    return recipe
