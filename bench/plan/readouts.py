"""Ways to predict with what one training left: a trial has as many readouts as are asked for, paired by nature."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UsageError, near_matches
from bench.plan import arguments
from bench.plan.catalogue import catalogue

# The readout that every trial has: the last step's weights. Others are measured against it.
LAST = "last"

_NAME = re.compile(r"[A-Za-z0-9][\w-]*")

# How many epochs' ends are kept, and averaged; of a shorter training all.
SNAPSHOTS = 3
TAIL = 4


@dataclass(frozen=True, slots=True)
class Readout:
    """`words` say what predicts, as "the mean of an image and its mirror image".

    A study's own has `predict`, a function (network, images) that returns the probabilities of every class, (N,
    classes). `network` is a copy of the trained one, in evaluation, and gives logits; `images` are (N, channels,
    height, width), normalised as it was trained on them. `networks` is how many sets of weights have to be kept for the
    readout, `passes` how many forward passes an image takes: its price.
    """

    name: str
    words: str
    predict: Callable[[Any, Any], Any] | None = None
    networks: int = 1
    passes: int = 1


# The harness's own.
READOUTS = {
    one.name: one
    for one in (
        Readout(LAST, "the last step's weights"),
        Readout("norms", "the last step's weights, with batch norm's statistics of the undistorted training images"),
        Readout("ema", "an exponential average of the weights over about an epoch's steps, with such statistics"),
        Readout("swa", f"the mean of the weights after each of the last {TAIL} epochs, with such statistics"),
        Readout(
            "snapshots",
            f"the mean probabilities of the networks after each of the last {SNAPSHOTS} epochs",
            networks=SNAPSHOTS,
            passes=SNAPSHOTS,
        ),
        Readout("tta", "the last weights, mean probabilities over an image and its four shifts by a pixel", passes=5),
    )
}


def known_readouts() -> Mapping[str, Readout]:
    """The harness's readouts by name, then those of the study in use."""
    return READOUTS | dict(catalogue().readouts)


def chosen_readouts(names: Iterable[str], known: Mapping[str, Readout] | None = None) -> tuple[str, ...]:
    """The readouts called so, the last weights first, each once; none for no name. Raises UsageError with near
    matches."""
    asked = list(names)
    if not asked:
        return ()
    known = known_readouts() if known is None else known
    for name in asked:
        if name not in known:
            raise UsageError(f"no readout is called {name!r}: {near_matches(name, known)}")
    return tuple(name for name in known if name in asked or name == LAST)


def check_readout(own: Readout) -> None:
    """Raises UsageError for what can't be a study's own readout."""
    name = arguments.text("the name of a readout", own.name)
    if not _NAME.fullmatch(name):
        raise UsageError(f"the name of a readout has letters, numbers, _ and -, unlike {name!r}")
    if name in READOUTS:
        raise UsageError(f"a readout is called {name!r} already: name yours otherwise")
    arguments.text(f"readout {name}: words", own.words)
    if not callable(own.predict):
        raise UsageError(
            f"readout {name} has no predict=, a function (network, images) that returns probabilities of every class"
        )
    for what in ("networks", "passes"):
        arguments.whole(f"readout {name}: {what}", getattr(own, what))
