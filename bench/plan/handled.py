"""Who handles a factor's levels: a change of the recipe, a keyword of a builder, or a table of the harness."""

from collections.abc import Collection
from dataclasses import replace

from bench.errors import UsageError
from bench.plan.factors import LOOKED_UP, Factor
from bench.plan.levels import format_level

_CHANGE = "change=, a function (recipe, level) that returns a recipe"


def as_looked_up(factor: Factor, keywords: Collection[str]) -> Factor:
    """The harness's own factor of the training where a study only says which of its levels it has; any other as it is.
    `keywords` are those of the study's builders."""
    ours = LOOKED_UP.get(factor.name)
    if ours is None or factor.change is not None or factor.name in keywords:
        return factor
    return replace(factor, changes_network=False, changes_shapes=False, changes_step=ours.changes_step)


def check_handled(factor: Factor, keywords: Collection[str]) -> None:
    """Raises UsageError for a level that nobody handles, and for an `off` that is called as another one."""
    ours = LOOKED_UP.get(factor.name)
    if ours is None:
        if not factor.changes_network and factor.change is None and factor.name not in keywords:
            raise UsageError(
                f"factor {factor.name} changes nothing: it has no {_CHANGE}, and no architecture has a keyword of this "
                "name"
            )
    elif factor.is_looked_up:
        for level in factor.levels:
            if level not in ours.levels:
                raise UsageError(
                    f"factor {factor.name}: the harness has no level {format_level(level)!r} of it, it has "
                    f"{', '.join(map(format_level, ours.levels))}: say what yours trains with by {_CHANGE}"
                )
    elif factor.change is not None and factor.off in ours.levels and factor.off != ours.off:
        raise UsageError(
            f"factor {factor.name}: its off is called {factor.off!r}, as a level of the harness's, but under a change "
            f"of your own off trains as {ours.off!r} does: call it so, or otherwise"
        )
