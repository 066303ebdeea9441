"""What was claimed of the models, beside what the rows say."""

from bench.report.report import Report
from bench.report.sections.claims.testing import (
    Claim,
    Finding,
    Status,
    effect_of_size,
    helps,
    judge_claims,
    reaches,
    saves_parameters_and_keeps_accuracy,
)
from bench.report.sections.section import Section
from bench.report.sections.targets import PUBLISHED_RULE
from bench.report.show.table import Table, text_column

__all__ = [
    "Claim",
    "Finding",
    "Status",
    "effect_of_size",
    "helps",
    "judge_claims",
    "reaches",
    "saves_parameters_and_keeps_accuracy",
]


def claim_table(report: Report) -> Table:
    """One row per claim."""
    return Table(
        name="claims",
        title="The claims",
        caption="Supported, contradicted, unsettled (tested, and these rows don't decide it), or not testable from "
        "such rows, and why. Differences in points of test accuracy with 95 % intervals; a verdict is against the "
        f"practical margin. {PUBLISHED_RULE}",
        columns=(
            text_column("claim", "claim"),
            text_column("these rows", "status"),
            text_column("evidence", "evidence"),
        ),
        rows=tuple(
            {"claim": claim.text, "status": str(finding.status), "evidence": finding.evidence}
            for claim, finding in judge_claims(report)
        ),
    )


SECTION = Section("claims", tables=(claim_table,))
