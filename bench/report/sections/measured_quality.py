"""How tables show how good predictions are, beside their accuracy."""

from bench.record.probabilities import BINS
from bench.report.show.table import Column, TableRow, number_column
from bench.report.show.words import percent
from bench.report.stats.estimate import Estimate

# What the columns of `quality_columns` are.
QUALITY = (
    "The loss is in nats; the Brier score is the mean square distance of the probabilities from the right answer, "
    "summed over classes; the calibration error is how far accuracy and confidence are apart, over "
    f"{BINS} bins of confidence. All three are better the lower they are."
)


def quality_columns() -> tuple[Column, ...]:
    """How good predictions are beside their accuracy, as `QUALITY` says."""
    return (
        number_column("loss", "loss", lambda value: f"{value:.4f}"),
        number_column("Brier score", "brier", lambda value: f"{value:.4f}"),
        number_column("calibration error", "calibration_error", percent),
    )


def means(**estimates: Estimate) -> TableRow:
    """The means of estimates, by name."""
    return {name: one.mean for name, one in estimates.items()}
