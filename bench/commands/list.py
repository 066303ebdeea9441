"""`bench list`: what there is to name."""

from tabulate import tabulate

from architectures.registry import ARCHITECTURES
from bench.plan.designs import DESIGNS
from bench.plan.factors import FACTORS, format_level, level_of


def list_names() -> None:
    """List models with their presets, factors with their levels, and designs."""
    print(
        tabulate(
            [
                (a.name, a.title, *(format_level(level_of(a.preset, factor)) for factor in FACTORS))
                for a in ARCHITECTURES.values()
            ],
            headers=("model", "title", *(factor.name for factor in FACTORS)),
            disable_numparse=True,
        )
    )
    print()
    print(
        tabulate(
            [(f.name, ", ".join(map(format_level, f.levels)), f.summary) for f in FACTORS],
            headers=("factor", "levels", "what it is"),
            disable_numparse=True,
        )
    )
    print()
    print(
        tabulate(
            [(name, (design.__doc__ or "").splitlines()[0]) for name, design in DESIGNS.items()],
            headers=("design", "its cells"),
        )
    )
    print("\nData sets: `bench data list`.")
