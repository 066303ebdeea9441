"""What each technique does: the main result; and what moving from one preset to the next does."""

from bench.report.report import Report
from bench.report.sections.effects.measured import Effect, effects
from bench.report.show.table import (
    Column,
    Table,
    TableRow,
    flat,
    flat_speed,
    interval_column,
    number_column,
    speed_column,
    text_column,
)
from bench.report.show.words import (
    p_value,
    points,
    points_interval,
    seeds_range,
    sentence,
    signed,
)
from bench.report.stats.verdict import SETTLED


def effect_table(report: Report) -> Table:
    """One row per technique and model."""
    return Table(
        name="effects",
        title="What each technique does",
        caption="The model with the technique minus the same model without it, over all seeds of both (n is written as "
        "with/without), in percentage points of test accuracy with the 95 % t interval. One of the two is the model's "
        "preset. A technique with a learning rate of its own is compared at its rate, and at the preset's where it was "
        "trained at that too. Helps, hurts and equivalent hold for all rows of this table together: the chance that "
        "any of them is false is at most 5 %. Tentative is what stands out alone and not among so many. A change in "
        "speed is of rounds that timed both networks, with its interval, and left empty where they were not timed "
        "together.",
        note="p is Student's, and 'Holm p' adjusts it for all rows. Sign-flip p is an exact test's on the shared "
        "seeds, which takes differences to be symmetric about 0 instead of normal, in brackets the smallest it could "
        "have been. g is Hedges' effect size; r the correlation between the two over shared seeds (above 0, pairing "
        "narrowed the interval). 'Finds' is the smallest difference that these seeds would find four times in five by "
        "the rule of the verdicts, and 'needs' the seeds in each arm that would find one as small as the margin: a "
        "range, for the spread of so few seeds is itself an estimate. Whatever stands out among many is on average "
        "measured too large.",
        columns=(
            text_column("model", "model"),
            text_column("technique", "technique"),
            number_column("effect", "difference", points),
            interval_column("95 % interval", "difference", points_interval),
            Column("n", "n", _arms),
            text_column("verdict", "verdict"),
            number_column("p", "p", p_value),
            number_column("Holm p", "p_holm", p_value),
            Column(
                "sign-flip p", "p_sign_flip", lambda r: f"{p_value(r['p_sign_flip'])} [{p_value(r['p_attainable'])}]"
            ),
            number_column("g", "g", lambda g: signed(g, ".1f")),
            number_column("r", "seed_correlation", lambda r: signed(r, ".2f")),
            number_column("finds", "smallest_found", lambda found: f"{found * 100:.2f}"),
            Column("needs", "seeds_needed", _needs),
            number_column("parameters", "parameters", lambda n: signed(n, ",.0f")),
            number_column("MACs", "macs", lambda n: signed(n, ",.0f")),
            speed_column("training speed", "train_speed"),
            speed_column("inference speed", "inference_speed"),
        ),
        rows=tuple(_effect_row(effect) for effect in effects(report)),
        telling=lambda row: (row["verdict"] in SETTLED, -min(row["p_holm"], row["p_beyond_holm"])),
    )


def _effect_row(effect: Effect) -> TableRow:
    comparison, cost, needed = effect.comparison, effect.cost, effect.seeds_needed
    return {
        "model": effect.architecture,
        "technique": sentence(effect.technique_at_rates),
        "factor": effect.factor.name,
        "rate_with": effect.rates[0],
        "rate_without": effect.rates[1],
        **flat("difference", comparison.difference),
        "verdict": str(effect.verdict),
        "n_with": comparison.treated,
        "n_without": comparison.baseline,
        "n_shared": len(comparison.shared),
        "p": comparison.difference.p,
        "p_holm": effect.judgement.p,
        "p_beyond_holm": effect.judgement.p_beyond,
        "p_sign_flip": comparison.sign_flip_p,
        "p_attainable": comparison.p_attainable,
        "g": comparison.effect_size,
        "seed_correlation": comparison.correlation,
        "smallest_found": effect.smallest_found,
        "seeds_needed": needed.usual if needed else None,
        "seeds_needed_low": needed.low if needed else None,
        "seeds_needed_high": needed.high if needed else None,
        "parameters": cost.parameters,
        "macs": cost.macs,
        **flat_speed("train_speed", cost.train_speed),
        **flat_speed("inference_speed", cost.inference_speed),
    }


def _arms(row: TableRow) -> str:
    return str(row["n_with"]) if row["n_with"] == row["n_without"] else f"{row['n_with']}/{row['n_without']}"


def _needs(row: TableRow) -> str:
    return "" if row["seeds_needed"] is None else seeds_range(row["seeds_needed_low"], row["seeds_needed_high"])
