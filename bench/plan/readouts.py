"""Ways to predict with what one training left: a trial has as many readouts as are asked for, paired by nature."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import UsageError, near_matches

# The readout that every trial has: the last step's weights. Others are measured against it.
LAST = "last"

# How many epochs' ends are kept, and averaged; of a shorter training all.
SNAPSHOTS = 3
TAIL = 4


@dataclass(frozen=True, slots=True)
class Readout:
    """`words` say what predicts; `networks` is how many sets of weights have to be kept for it, `passes` how many
    forward passes an image takes."""

    name: str
    words: str
    networks: int = 1
    passes: int = 1


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


def chosen_readouts(names: Iterable[str]) -> tuple[str, ...]:
    """The readouts called so, the last weights first, each once; none for no name. Raises UsageError with near
    matches."""
    asked = list(names)
    for name in asked:
        if name not in READOUTS:
            raise UsageError(f"no readout is called {name!r}: {near_matches(name, READOUTS)}")
    return tuple(name for name in READOUTS if name in asked or name == LAST) if asked else ()
