"""What must not change at all: parameters, MACs, output shapes and receptive field of every network."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from math import prod

from bench.check.places import place_of_architecture
from bench.check.verdict import CheckRow, Kind, Verdict, update_command
from bench.errors import BenchError
from bench.plan.catalogue import catalogue, find_architecture, written_levels
from bench.plan.cells import Cell
from bench.plan.designs import factorial, toggles
from bench.plan.factors import Factor
from bench.record.schema import ExactRow
from bench.train.network import NetworkError, plain_network
from bench.train.summary import LayerRow, summarise

# More combinations of levels than that are not measured, but each level by itself.
MOST_NETWORKS = 1_000

_COUNTS = ("parameters", "macs", "receptive_field")
_MOST_LAYERS_NAMED = 3


def measure_networks(input_shape: tuple[int, int, int], classes: int) -> list[ExactRow]:
    """One row per architecture of the study and combination of the levels that change the network, or each of them by
    itself where there are more than MOST_NETWORKS combinations. Raises BenchError for a network that can't be built.

    `input_shape` is (channels, height, width).
    """
    factors = [factor for factor in catalogue().factors if factor.changes_network]
    names = catalogue().models
    design = factorial if _combinations(names, factors) <= MOST_NETWORKS else toggles
    return [_measure(cell, input_shape, classes) for cell in dict.fromkeys(design(names, factors))]


def _combinations(names: Sequence[str], factors: Sequence[Factor]) -> int:
    return sum(prod(len(f.levels) for f in factors if find_architecture(name).applies(f)) for name in names)


def compare_networks(current: Sequence[ExactRow], baseline: Sequence[ExactRow]) -> list[CheckRow]:
    """Both directions: what the baseline lacks is new, what only it has is missing."""
    here, there = ({_name(row): row for row in rows} for rows in (current, baseline))
    return [_compare(name, here, there) for name in dict.fromkeys((*here, *there))]


def _measure(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> ExactRow:
    try:
        summary = summarise(plain_network(cell, input_shape, classes), input_shape)
    except (NetworkError, ValueError) as error:
        raise BenchError(f"{cell.label} can't be built: {error}") from error
    return ExactRow(
        architecture=cell.architecture,
        levels={name: written_levels(cell.levels)[name] for name in catalogue().network_columns},
        parameters=summary.parameters,
        macs=summary.macs,
        receptive_field=summary.receptive_field,
        layers=" ".join(map(_layer, summary.layers)),
    )


def _layer(layer: LayerRow) -> str:
    kind = layer.kind.replace(", ", "+")
    field = "all" if layer.receptive_field is None else layer.receptive_field
    return f"{layer.name}:{kind}:{'x'.join(map(str, layer.output or ()))}:{field}"


def _name(row: ExactRow) -> str:
    return " ".join([row.architecture, *(f"{name}={level}" for name, level in row.levels.items())])


def _compare(name: str, here: Mapping[str, ExactRow], there: Mapping[str, ExactRow]) -> CheckRow:
    new, old = here.get(name), there.get(name)
    if new is None or old is None:
        verdict = Verdict.NEW if old is None else Verdict.MISSING
        lost = "in the baseline, but no network here is called that"
        message = f"not in the baseline: {update_command()}" if old is None else lost
    else:
        changes = list(_changes(old, new))
        verdict = Verdict.FAIL if changes else Verdict.PASS
        message = "; ".join(changes) or "as in the baseline"
    place = place_of_architecture(name.partition(" ")[0])
    return CheckRow(Kind.EXACT, name, verdict, _shown(old), _shown(new), message, place=place)


def _count(value: int | None) -> str:
    return "whole image" if value is None else f"{value:,}"


def _shown(row: ExactRow | None) -> str:
    return "" if row is None else f"{row.parameters:,} parameters, {row.macs:,} MACs"


def _changes(old: ExactRow, new: ExactRow) -> Iterator[str]:
    for name in _COUNTS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name.replace('_', ' ')} {_count(before)} to {_count(after)}"
    pairs = zip_longest(old.layers.split(), new.layers.split(), fillvalue="nothing")
    layers = [f"{before} to {after}" for before, after in pairs if before != after]
    yield from layers[:_MOST_LAYERS_NAMED]
    if len(layers) > _MOST_LAYERS_NAMED:
        yield f"and {len(layers) - _MOST_LAYERS_NAMED} layers more"
