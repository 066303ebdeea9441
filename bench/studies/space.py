"""The networks that the search of model7 looks through: three stages of blocks of one kind, with a pool or two, each as
wide as the limit of parameters and the time of a published network or two allow."""

from collections.abc import Callable, Sequence
from typing import Any

from architectures.attention import REDUCTION
from architectures.layers import written_layers
from architectures.spec import Conv

_STAGES = 3

# Widths of stages relative to each other.
_RELATIVE = (0.5, 0.7, 1.0, 1.4, 2.0)

_WIDEST = 32

# Kernel, and whether it is separable.
_KINDS = {"3x3": (3, False), "separable": (3, True), "1x1": (1, False)}

# Of the first stage, which sees all pixels and a single channel.
_FIRST_KINDS, _FIRST_DEPTH, _DEPTH = ("3x3", "separable"), 2, 3

# Without a limit.
_MOST = 8_000

# Of the study's data sets, whose images have one channel.
_SIDE, _CHANNELS, _CLASSES = 28, 1, 10

# What convolutions write for an image, in values; those of model1, the most that a published network has, are 24,762.
# Networks of so few parameters take as long as they write.
_MOST_WRITTEN = 40_000


def suggest(trial: Any, limit: int | None) -> dict[str, str]:
    """The layers that an Optuna trial suggests: of each stage how many blocks it has, of which kind, how wide relative
    to the others, padded or not; shortcuts; attention; whether a second pool follows the one behind the first stage.
    They are as wide as `limit` allows."""
    shortcuts = trial.suggest_categorical("residual", (False, True))
    attention = trial.suggest_categorical("attention", ("off", "se", "eca"))
    stages = [_stage(trial, stage, attention) for stage in range(1, _STAGES + 1)]

    def layers(unit: float) -> list[Conv]:
        blocks: list[Conv] = []
        for relative, stage in stages:
            channels = min(max(2, round(unit * relative)), _WIDEST)
            for of_width in stage:
                keeps = bool(blocks) and blocks[-1].channels == channels
                blocks.append(of_width(channels, shortcuts and keeps))
        return blocks

    return {"layers": written_layers(_widest(layers, limit or _MOST))}


def _stage(trial: Any, stage: int, attention: str) -> tuple[float, list[Callable[[int, bool], Conv]]]:
    """The relative width of a stage, and its blocks by their channels and whether they have a shortcut."""
    is_first = stage == 1
    depth = trial.suggest_int(f"depth{stage}", 1, _FIRST_DEPTH if is_first else _DEPTH)
    relative = trial.suggest_categorical(f"width{stage}", _RELATIVE)
    kinds = _FIRST_KINDS if is_first else tuple(_KINDS)
    kernel, separable = _KINDS[trial.suggest_categorical(f"kind{stage}", kinds)]
    padding = kernel // 2 if trial.suggest_categorical(f"padded{stage}", (False, True)) else 0
    pooled = is_first or (stage < _STAGES and trial.suggest_categorical(f"pooled{stage}", (False, True)))

    def block(pool: int) -> Callable[[int, bool], Conv]:
        return lambda channels, shortcut: Conv(channels, padding, pool, kernel, shortcut, separable, attention)

    return relative, [*[block(1)] * (depth - 1), block(2 if pooled else 1)]


def _widest(layers: Callable[[float], list[Conv]], limit: int) -> list[Conv]:
    """The layers of the largest unit, in halves, that stays within the limits; of one where none does."""
    low, high = 2, 128
    while high - low > 1:
        middle = (low + high) // 2
        blocks = layers(middle / 2)
        fits = parameters(blocks) <= limit and written(blocks) <= _MOST_WRITTEN
        low, high = (middle, high) if fits else (low, middle)
    return layers(low / 2)


def parameters(blocks: Sequence[Conv]) -> int:
    """How many parameters model7 has with such blocks at its preset; without building it, which takes a hundred times
    as long."""
    before, found = _CHANNELS, 0
    for block in blocks:
        taps, after = block.kernel**2, block.channels
        found += taps * before + before * after if block.separable else taps * before * after
        found += 2 * after  # batch norm
        if block.attention == "se":
            hidden = max(after // REDUCTION, 1)
            found += 2 * hidden * after + hidden + after
        found += 3 if block.attention == "eca" else 0
        before = after
    return found + (before + 1) * _CLASSES


def written(blocks: Sequence[Conv], side: int = _SIDE) -> int:
    """How many values the convolutions of model7 with such blocks write for an image of so many pixels a side."""
    before, found = _CHANNELS, 0
    for block in blocks:
        side = max(side + 2 * block.padding - block.kernel + 1, 0)
        found += side**2 * (block.channels + (before if block.separable else 0))
        side //= block.pool
        before = block.channels
    return found + side**2 * _CLASSES
