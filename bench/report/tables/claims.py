"""What was claimed of the models, beside what the rows say."""

from bench.report.analysis import Analysis
from bench.report.claims import judge_claims
from bench.report.tables.architectures import PUBLISHED_RULE
from bench.report.tables.table import Table, text_column


def claim_table(analysis: Analysis) -> Table:
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
            for claim, finding in judge_claims(analysis)
        ),
    )
