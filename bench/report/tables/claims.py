"""What was claimed of the models, beside what the rows say."""

from bench.report.analysis import Analysis
from bench.report.claims import judge_claims
from bench.report.tables.table import Table, text_column


def claim_table(analysis: Analysis) -> Table:
    """One row per claim."""
    return Table(
        name="claims",
        title="The claims",
        caption="Supported, contradicted, or not testable from these rows and why. Differences in points of test "
        "accuracy with 95 % intervals; a verdict is against the practical margin.",
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
