"""The learning rates of a study: those that it says, or what the harness takes where nobody chose."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import UsageError, near_matches
from bench.plan import arguments
from bench.plan.catalogue import ARCHITECTURE, Rates
from bench.plan.factors import Factor
from bench.plan.levels import Level
from bench.plan.protocol import Optimizer

# What rates a study has that says none: with SGD those found for small convolutional networks, by the schedule and
# whether there is batch norm; nobody looked for those of `cosine`, which starts at its peak, as `step` does, and has
# the same. With AdamW it is torch's own for all. The report says that nobody chose them for this study.
_OF_SGD: Mapping[tuple[Level, ...], float] = {
    ("step", False): 0.01,
    ("step", True): 0.03,
    ("cosine", False): 0.01,
    ("cosine", True): 0.03,
    ("onecycle", False): 0.03,
    ("onecycle", True): 0.1,
}
DEFAULT_RATES: Mapping[Optimizer, Mapping[tuple[Level, ...], float]] = {
    "sgd": _OF_SGD,
    "adamw": dict.fromkeys(_OF_SGD, 0.001),
}

# What `bench select rates` tries where a study doesn't say.
DEFAULT_TRIED: Mapping[Optimizer, tuple[float, ...]] = {
    "sgd": (0.003, 0.01, 0.03, 0.1, 0.3),
    "adamw": (0.0003, 0.001, 0.003, 0.01, 0.03),
}


def default_rates(factors: Sequence[Factor], optimizer: Optimizer) -> Rates:
    """The rates of a study that says none, by those of the harness's factors in it that they depend on."""
    named = {factor.name: factor for factor in factors if factor.change is None}
    scheduler, norm = named.get("scheduler"), named.get("batch_norm")
    by: tuple[str, ...] = ()
    if scheduler is not None and scheduler.is_looked_up:
        by = ("scheduler", "batch_norm") if norm is not None and set(norm.levels) <= {False, True} else ("scheduler",)
    rates: dict[tuple[Level, ...], float] = {}
    for levels, rate in DEFAULT_RATES[optimizer].items():
        rates.setdefault(levels[: len(by)], rate)
    return Rates(by, rates, dict.fromkeys(rates, DEFAULT_TRIED[optimizer]), selected=False, optimizer=optimizer)


def rates_by(
    by: tuple[str, ...], given: Mapping[Any, float], factors: Sequence[Factor], architectures: Sequence[str]
) -> Mapping[tuple[Level, ...], float]:
    """The rates that a study gives, by the levels of the factors called `by`, or by architecture as well, checked.
    Raises UsageError."""
    known = {factor.name: tuple(factor.levels) for factor in factors} | {ARCHITECTURE: tuple(architectures)}
    for name in by:
        if name not in known:
            raise UsageError(f"rates_by: no factor is called {name!r}: {near_matches(name, known)}")
    rates = {(levels if isinstance(levels, tuple) else (levels,)): checked_rate(rate) for levels, rate in given.items()}
    for levels in rates:
        if len(levels) != len(by) or any(level not in known[name] for name, level in zip(by, levels, strict=True)):
            raise UsageError(f"rates: {levels!r} isn't one level of each of {', '.join(by)}")
    return rates


def checked_rate(value: object) -> float:
    """A learning rate. Raises UsageError."""
    return arguments.above_zero("a learning rate", value)
