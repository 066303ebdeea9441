"""`bench list`: what there is to name."""

from tabulate import tabulate

from bench.commands import options as opt
from bench.plan.architecture import Architecture
from bench.plan.catalogue import catalogue
from bench.plan.designs import DESIGNS
from bench.plan.factors import Factor, level_of
from bench.plan.levels import format_level
from bench.plan.readouts import known_readouts


def list_names(study: opt.StudyName = None) -> None:
    """List models with their presets, factors with their levels, designs, readouts and data sets."""
    opt.use_study(study)
    print(
        tabulate(
            [
                (a.name, a.title, *(_preset(a, factor) for factor in catalogue().factors))
                for a in catalogue().architectures.values()
            ],
            headers=("model", "title", *(factor.name for factor in catalogue().factors)),
            disable_numparse=True,
        )
    )
    print()
    print(
        tabulate(
            [
                (f.name, "any text" if f.is_open else ", ".join(map(format_level, f.levels)), f.summary)
                for f in catalogue().factors
            ],
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
    print()
    print(tabulate([(one.name, one.words) for one in known_readouts().values()], headers=("readout", "what predicts")))
    print()
    if (space := catalogue().search) is not None:
        limit = "any number" if space.parameters is None else f"{space.parameters:,}"
        print(tabulate([(space.name, limit)], headers=("bench search of", "parameters at most"), disable_numparse=True))
        print()
    print(
        tabulate([(one.name, one.title) for one in catalogue().datasets.values()], headers=("data set", "what it is"))
    )


def _preset(architecture: Architecture, factor: Factor) -> str:
    """The factor's level in the preset; a dash where it doesn't apply."""
    if not architecture.applies(factor):
        return "-"
    return format_level(level_of(catalogue().presets[architecture.name], factor))
