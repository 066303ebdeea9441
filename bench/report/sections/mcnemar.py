"""Whether two networks that saw the same test images get different ones right."""

import numpy as np

from bench.report.report import Report
from bench.report.sections.effects.measured import Effect, effects
from bench.report.sections.section import Section
from bench.report.show.table import Table, number_column, text_column
from bench.report.show.words import count, p_value
from bench.report.stats.noise import McNemar, compare_networks


def mcnemar_table(report: Report) -> Table:
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
            for effect in effects(report)
            for seed, result in by_seed(report, effect)
        ),
        telling=lambda row: -row["p"],
    )


def by_seed(report: Report, effect: Effect) -> list[tuple[int, McNemar]]:
    """The test for each seed of which both networks' bits were recorded."""
    if effect.same_rate:
        return []
    (seeds, own), (other_seeds, other) = map(report.evidence.bits, (effect.treated, effect.baseline))
    if seeds != other_seeds:
        shared, ours, theirs = np.intersect1d(seeds, other_seeds, return_indices=True)
        seeds, own, other = shared.tolist(), own[ours], other[theirs]
    return list(zip(seeds, compare_networks(own, other), strict=True)) if seeds else []


SECTION = Section("mcnemar", tables=(mcnemar_table,))
