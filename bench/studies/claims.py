"""What was claimed with the three published models, on MNIST."""

from dataclasses import replace

from bench.plan.augmentation import augmentation_of
from bench.report.report import Report
from bench.report.sections.cells.results import cell_results
from bench.report.sections.claims.testing import (
    Claim,
    Finding,
    Status,
    effect_of_size,
    helps,
    reaches,
    saves_parameters_and_keeps_accuracy,
)
from bench.report.sections.progress.curves import learning_curves
from bench.report.show.words import percent, percent_interval, plural
from bench.studies.converging import converges_faster
from bench.studies.overfitting import prevents_overfitting

_CONFOUNDED = (
    "The published comparison changes batch norm, global average pooling, dropout and a layer's width at once, so its "
    "0.29 points are no single technique's."
)


def _rotation_is_essential(report: Report) -> Finding:
    """That something can't be done without is refuted by whoever does it: one cell without rotation that is above 98 %
    with its whole interval is enough. No number of cells that don't get there would prove it."""
    unrotated = [result for result in cell_results(report) if augmentation_of(result.cell.levels).rotation == 0]
    if not unrotated:
        return Finding(Status.NOT_TESTABLE, "No cell was trained without rotation.")
    without = [result for result in unrotated if result.accuracy.low > 0.98]
    if not without:
        return Finding(Status.UNSETTLED, "No cell that was trained without rotation has an interval wholly above 98 %.")
    best = max(without, key=lambda result: result.accuracy.low)
    accuracy = best.accuracy
    return Finding(
        Status.CONTRADICTED,
        f"{plural(len(without), 'cell')} without rotation lie above 98 % with their whole interval, as "
        f"{best.cell.label}: {percent(accuracy.mean)} ({percent_interval(accuracy.low, accuracy.high)}, "
        f"{plural(accuracy.n, 'seed')}).",
    )


def _step_drops(report: Report) -> Finding:
    """Whether the step schedule moved the rate at all."""
    curves = [curve for curve in learning_curves(report) if curve.cell.levels["scheduler"] == "step"]
    if not curves:
        return Finding(Status.NOT_TESTABLE, "No cell was trained with the step schedule.")
    epochs = max(len(curve.points) for curve in curves)
    if all(curve.points["lr"].nunique() == 1 for curve in curves):
        return Finding(
            Status.NOT_TESTABLE,
            f"StepLR(15) never drops within {epochs} epochs: in every trial the rate was constant from the first "
            f"epoch to the last, so these rows hold a constant rate and no step.",
        )
    return Finding(Status.NOT_TESTABLE, "The rate dropped, but no cell was trained without the drop.")


_CLAIMS = (
    Claim("model1 reaches 98.89 %", reaches("model1")),
    Claim("model2 reaches 99.18 %", reaches("model2")),
    Claim("model3 reaches 99.46 %", reaches("model3")),
    Claim("Batch norm improves accuracy by 0.29 points", effect_of_size("batch_norm", "model1", 0.0029, _CONFOUNDED)),
    Claim("Batch norm converges faster", converges_faster("batch_norm")),
    Claim("Dropout prevents overfitting", prevents_overfitting("dropout")),
    Claim(
        "Global average pooling reduces parameters and maintains performance",
        saves_parameters_and_keeps_accuracy("gap"),
    ),
    Claim("Augmentation improves accuracy", helps("augmentation")),
    Claim("Rotation is essential for more than 98 %", _rotation_is_essential),
    Claim("The one-cycle schedule generalises better", helps("scheduler", "onecycle")),
    Claim("Stepping the rate down helps", _step_drops),
)

CLAIMS = tuple(replace(claim, dataset="mnist") for claim in _CLAIMS)
