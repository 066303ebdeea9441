"""A phase of training before a trial's own."""

from dataclasses import dataclass

from bench.errors import UsageError
from bench.plan import arguments


@dataclass(frozen=True, slots=True)
class Phase:
    """Trains the trial's network on the data set called `data` for so many epochs, as the trial trains and with its
    seed, before its own training, which starts from the body: all layers but those whose shape depends on the number of
    classes, with the statistics of their norms.

    `rate` is the phase's learning rate, the trial's own if not said. With `frozen` the body stays as it is, and only
    the other layers learn. With `own_images` the phase makes as many updates on the trial's own training images, and
    hands on the whole network: what the updates alone do. Raises UsageError for what can't be.

    `data` is one of the study's data sets or a built-in one. None may hold images of the trial's test set: a
    network that has seen them has seen what it would be tested on.
    """

    data: str
    epochs: int = 5
    rate: float | None = None
    frozen: bool = False
    own_images: bool = False

    def __post_init__(self) -> None:
        arguments.text("Phase: data", self.data)
        arguments.whole("Phase: epochs", self.epochs)
        if self.rate is not None:
            arguments.above_zero("Phase: rate", self.rate)
        for name in ("frozen", "own_images"):
            arguments.flag(f"Phase: {name}", getattr(self, name))
        if self.frozen and self.own_images:
            raise UsageError("Phase: own_images hands on the whole network, of which nothing could be frozen")
