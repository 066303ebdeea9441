"""Networks that learn first and say what a trial's targets are."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.plan import arguments
from bench.plan.levels import Level


@dataclass(frozen=True, slots=True)
class Teacher:
    """Puts probabilities in the place of labels: of every image as the trial trains on it, distorted and changed, the
    mean of what so many `networks` say (Hinton et al. 2015, arXiv 1503.02531).

    They are the trial's cell but for `levels`, as in {"width": 4}, and learn first, on the trial's own training images
    and as it trains. Their seeds are the same for all trials, which so share them: an interval over seeds is one of
    students of these teachers, and not of others. Raises UsageError for what can't be.
    """

    levels: Mapping[str, Level]
    networks: int = 1

    def __post_init__(self) -> None:
        arguments.mapping("Teacher: levels", "{'width': 4}", self.levels)
        arguments.whole("Teacher: networks", self.networks)
