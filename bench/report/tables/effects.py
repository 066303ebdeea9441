"""What each technique does: the main result; and what moving from one preset to the next does."""

import math

from bench.report.analysis import Analysis, Effect
from bench.report.stats.verdict import SETTLED
from bench.report.tables.table import (
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
from bench.report.words import (
    count,
    listed,
    p_value,
    points,
    points_interval,
    seeds_range,
    sentence,
    signed,
)


def effect_table(analysis: Analysis) -> Table:
    """One row per technique and model."""
    return Table(
        name="effects",
        title="What each technique does",
        caption="The model with the technique minus the same model without it, over all seeds of both (n is written as "
        f"with/without), in percentage points of test accuracy with the 95 % {_interval(analysis)}. One of the two "
        "is the model's preset. A technique with a learning rate of its own is compared at its rate, and at the "
        "preset's where it was trained at that too. Helps, hurts and equivalent hold for all rows of this table "
        "together: the chance that any of them is false is at most 5 %. Tentative is what stands out alone and not"
        " among so many. A change in speed is of rounds that timed both networks, with its interval, and left "
        "empty where they were not timed together.",
        note=f"p is {_rule(analysis)}, and 'Holm p' adjusts it for all rows. Sign-flip p is an exact test's on the "
        "shared seeds, which takes differences to be symmetric about 0 instead of normal, in brackets the smallest"
        " it could have been. g is Hedges' effect size; r the correlation between the two over shared seeds (above"
        " 0, pairing narrowed the interval). 'Finds' is the smallest difference that these seeds would find four "
        "times in five by the rule of the verdicts, and 'needs' the seeds in each arm that would find one as small"
        " as the margin: a range, for the spread of so few seeds is itself an estimate. Whatever stands out among "
        "many is on average measured too large.",
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
            number_column(
                "finds", "smallest_found", lambda found: f"{found * 100:.2f}" if math.isfinite(found) else ""
            ),
            Column("needs", "seeds_needed", _needs),
            number_column("parameters", "parameters", lambda n: signed(n, ",.0f")),
            number_column("MACs", "macs", lambda n: signed(n, ",.0f")),
            speed_column("training speed", "train_speed"),
            speed_column("inference speed", "inference_speed"),
        ),
        rows=tuple(_effect_row(effect) for effect in analysis.effects),
        telling=lambda row: (row["verdict"] in SETTLED, -min(row["p_holm"], row["p_beyond_holm"])),
    )


def step_table(analysis: Analysis) -> Table:
    """One row per pair of successive presets."""
    published = any(step.published is not None for step in analysis.steps)
    return Table(
        name="presets",
        title="From one model to the next",
        caption="Each step changes several techniques and the layers at once, so its difference credits none of them. "
        "Differences in percentage points, over all seeds of both, with the 95 % t interval."
        + (" The published ones are of single runs." if published else ""),
        columns=(
            text_column("from", "start"),
            text_column("to", "end"),
            text_column("what changes", "changes"),
            *([number_column("published", "published", points)] if published else []),
            number_column("measured", "difference", points),
            interval_column("95 % interval", "difference", points_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(
            {
                "start": step.start,
                "end": step.end,
                "changes": listed([*(factor.name for factor in step.factors), "layers"]),
                "published": step.published,
                **flat("difference", step.comparison.difference),
            }
            for step in analysis.steps
        ),
    )


def mcnemar_table(analysis: Analysis) -> Table:
    """One row per effect and seed."""
    return Table(
        name="mcnemar",
        title="The same test images, two networks",
        caption="For each seed, how many test images only the network with the technique got right, how many only "
        "the one without it, and the exact p of McNemar's test. It asks whether these two networks differ on such "
        "images, not whether the technique helps: two seeds of one cell differ as well.",
        columns=(
            text_column("model", "model"),
            text_column("technique", "technique"),
            number_column("seed", "seed", str),
            number_column("only with", "only_with", count),
            number_column("only without", "only_without", count),
            number_column("p", "p", p_value),
        ),
        rows=tuple(
            {
                "model": effect.architecture,
                "technique": effect.technique,
                "seed": seed,
                "only_with": result.only_first,
                "only_without": result.only_second,
                "p": result.p,
            }
            for effect in analysis.effects
            for seed, result in effect.mcnemar
        ),
        telling=lambda row: -row["p"],
    )


def _interval(analysis: Analysis) -> str:
    return "interval that holds at every look" if analysis.evidence.looks else "t interval"


def _rule(analysis: Analysis) -> str:
    return "the anytime-valid t test's" if analysis.evidence.looks else "Student's"


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


def _sign_flip(row: TableRow) -> str:
    return f"{p_value(row['p_sign_flip'])} [{p_value(row['p_attainable'])}]"


def _needs(row: TableRow) -> str:
    return "" if row["seeds_needed"] is None else seeds_range(row["seeds_needed_low"], row["seeds_needed_high"])
