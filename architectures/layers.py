"""Hidden layers as a text, in the notation of Ciresan et al. (CVPR 2012): `10C3-10C3-MP2-14C3v`.

A block is the number of its channels and what it is, and hyphens stand between: `16C3` is a 3x3 convolution to 16
channels, `16C1` one of 1x1, `16D3` a separable one, 3x3 a channel and then 1x1 over all. Convolutions keep the size of
their maps. After that, letters: `v` leaves out the padding, as `valid` does elsewhere; `r` leads a shortcut around the
block; `s` ends it with squeeze-and-excitation, `e` with efficient channel attention. `MP2` after a block max pools its
maps by 2.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from architectures.spec import Conv

_BLOCK = re.compile(r"([1-9][0-9]{0,3})([CD])([1357])([vrse]*)", re.ASCII)
_POOL = re.compile(r"MP([2-9])", re.ASCII)
_ATTENTION = {"s": "se", "e": "eca"}
_SEPARATE = "-"


def read_layers(text: str) -> tuple[Conv, ...]:
    """The blocks that a text says. Raises ValueError, which says what is wrong with which part."""
    blocks: list[Conv] = []
    for number, part in enumerate(text.split(_SEPARATE), start=1):
        if pool := _POOL.fullmatch(part):
            if not blocks or blocks[-1].pool > 1:
                raise ValueError(f"layers: {part}, part {number}, pools what no block gives: it follows a block, once")
            blocks[-1] = replace(blocks[-1], pool=int(pool[1]))
        else:
            blocks.append(_block(part, number))
    return tuple(blocks)


def written_layers(blocks: Iterable[Conv]) -> str:
    """The text of blocks that are padded by half a kernel or not at all."""
    return _SEPARATE.join(part for block in blocks for part in _parts(block))


def _block(part: str, number: int) -> Conv:
    found = _BLOCK.fullmatch(part)
    if found is None:
        raise ValueError(
            f"layers: {part!r}, part {number}, is no block like 16C3, 16C1 or 16D3 with the letters v, r, s or e "
            "behind it, and no MP2; hyphens stand between, as in 10C3-10C3r-MP2-14C3vs"
        )
    channels, kind, kernel, marks = int(found[1]), found[2], int(found[3]), found[4]
    if len(set(marks)) < len(marks) or {"s", "e"} <= set(marks):
        raise ValueError(f"layers: {part}, part {number}, says {marks}: each letter stands once, and s or e, not both")
    return Conv(
        channels,
        padding=0 if "v" in marks else (kernel - 1) // 2,
        kernel=kernel,
        shortcut="r" in marks,
        separable=kind == "D",
        attention=next((_ATTENTION[mark] for mark in marks if mark in _ATTENTION), "off"),
    )


def _parts(block: Conv) -> list[str]:
    marks = "v" if block.kernel > 1 and not block.padding else ""
    marks += "r" if block.shortcut else ""
    marks += next((mark for mark, kind in _ATTENTION.items() if kind == block.attention), "")
    own = f"{block.channels}{'D' if block.separable else 'C'}{block.kernel}{marks}"
    return [own, f"MP{block.pool}"] if block.pool > 1 else [own]
