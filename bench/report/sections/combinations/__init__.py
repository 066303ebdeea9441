"""What techniques do together: main effects and interactions, and each one's share of the gain between two presets."""

from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.combinations.attributions import Attribution, attributions
from bench.report.sections.combinations.factorials import Factorial, factorials
from bench.report.sections.combinations.sentences import combination_sentences
from bench.report.sections.section import Section
from bench.report.show.table import Table, TableRow, flat, interval_column, number_column, text_column
from bench.report.show.words import listed, points, points_interval, sentence


def factorial_table(report: Report) -> Table:
    """One row per main effect and two-way interaction of every factorial."""
    return Table(
        name="factorial",
        title="Techniques together",
        caption="From every combination of the factors' levels. A main effect is averaged over the other factors; an "
        "interaction is how much more the first technique adds when the second is there (0: the two simply add up). "
        "In points, over all seeds of the cells, with the 95 % t interval.",
        columns=(
            text_column("model", "model"),
            text_column("kind", "kind"),
            text_column("effect of", "what"),
            number_column("effect", "effect", points),
            interval_column("95 % interval", "effect", points_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(row for design in factorials(report) for row in _factorial_rows(design)),
        telling=lambda row: abs(row["effect"]),
    )


def attribution_table(report: Report) -> Table:
    """One row per technique and pair of presets."""
    return Table(
        name="attribution",
        title="Who earned the gain",
        caption="The gain from one model's preset to the next one's, shared out over the techniques that differ: each "
        "one's gain averaged over all orders of adding them (Shapley), on the first model's layers. What the second "
        "model's layers (widths, padding, pools) add comes on top and is no technique's.",
        columns=(
            text_column("from", "start"),
            text_column("to", "end"),
            text_column("technique", "what"),
            number_column("share", "share", points),
            interval_column("95 % interval", "share", points_interval),
            number_column("n", "n", str),
        ),
        rows=tuple(row for attribution in attributions(report) for row in _attribution_rows(attribution)),
        telling=lambda row: abs(row["share"]),
    )


def _factorial_rows(design: Factorial) -> Iterator[TableRow]:
    for main in design.effects:
        yield {
            "model": design.architecture,
            "kind": "main effect",
            "what": sentence(design.in_words(main.factor, main.level)),
            **flat("effect", main.effect),
        }
    for pair in design.interactions:
        yield {
            "model": design.architecture,
            "kind": "interaction",
            "what": sentence(listed([*map(design.in_words, pair.factors, pair.levels)])),
            **flat("effect", pair.effect),
        }


def _attribution_rows(attribution: Attribution) -> Iterator[TableRow]:
    ends = {"start": attribution.start, "end": attribution.end}
    for name, share in attribution.shares_in_words.items():
        yield {**ends, "what": sentence(name), **flat("share", share)}
    if attribution.layers is not None:
        yield {**ends, "what": "Other layers (no technique)", **flat("share", attribution.layers)}


SECTION = Section(
    "combinations",
    tables=(factorial_table, attribution_table),
    charts=("combinations.interactions", "combinations.shapley"),
    sentences=combination_sentences,
)
