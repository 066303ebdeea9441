"""How often the speed check cries wolf: this tree against a copy of itself, again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.check.pairs import rate_bounds
from bench.check.verdict import CheckRow, ExitCode, Verdict

# At most one false red in so many runs of all workloads.
TARGET = 1 / 200


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Of `runs` comparisons that measured something, `red` had a red row; `low` and `high` are one-sided 95 % bounds of
    the rate. `rows` and `inconclusive` count single verdicts."""

    runs: int
    red: int
    low: float
    high: float
    rows: int
    inconclusive: int

    def __str__(self) -> str:
        return (
            (
                f"{self.red} of {self.runs} runs of this tree against itself were red: a rate of at most "
                f"{self.high:.1%} (one-sided 95 % bound of Clopper and Pearson; the target is {TARGET:.1%}); "
                f"{self.inconclusive} of {self.rows} rows were inconclusive"
            )
            .replace("%", " %")
            .replace("  %", " %")
        )

    @property
    def exit_code(self) -> ExitCode:
        """A regression where the rate is surely above the target."""
        if self.runs == 0:
            return ExitCode.NOT_DECIDED
        return ExitCode.REGRESSION if self.low > TARGET else ExitCode.PASS


def false_alarms(runs: Sequence[Sequence[CheckRow]]) -> FalseAlarms:
    """Counts what comparisons of a tree with itself said."""
    compared = [[row for row in rows if row.verdict not in {Verdict.NEW, Verdict.MISSING}] for rows in runs]
    valid = [rows for rows in compared if rows]
    red = sum(any(row.verdict is Verdict.FAIL for row in rows) for rows in valid)
    low, high = rate_bounds(red, len(valid)) if valid else (0.0, 1.0)
    every = [row for rows in valid for row in rows]
    inconclusive = sum(row.verdict is Verdict.INCONCLUSIVE for row in every)
    return FalseAlarms(len(valid), red, low, high, len(every), inconclusive)
