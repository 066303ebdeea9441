"""What techniques do together: main effects and interactions, with their intervals."""

from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.combinations.factorials import Factorial, factorials, verdicts
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, MOST_ROWS, fold
from bench.report.show.forest import Row, forest
from bench.report.show.style import remark, seeds_words, short
from bench.report.show.words import listed, points, sentence


def draw(report: Report) -> Chart | None:
    """A panel per factorial; None where there is none."""
    if not factorials(report):
        return None
    designs, folded = fold(
        factorials(report),
        MOST_PANELS // 2,
        lambda design: max(abs(effect.effect.mean) for effect in design.effects),
        what="sets of combinations",
        first="those with the largest effects",
        table="factorial",
    )
    each = MOST_ROWS // len(designs)
    panels = [(design.architecture, list(_rows(report, design))) for design in designs]
    clipped = any(len(rows) > each for _, rows in panels)
    counts = [design.seeds for design in designs]
    page, cut = forest([(name, _surest(rows, each)) for name, rows in panels], report.margin, counts)
    return Chart(
        name="interactions",
        title="Techniques together",
        caption="Percentage points of test accuracy, with 95 % t intervals over seeds "
        f"({seeds_words(counts)}), from every combination of the levels. Bold is what a "
        "technique adds, averaged over the others. The rows below say how much more one adds where the other is there: "
        "at 0 the two simply add up."
        + remark(cut, "An arrow ends an interval that goes on past 100 points.")
        + remark(clipped, f"Of each set the {each} surest rows are shown; tables/factorial.csv has them all.")
        + folded,
        alt=f"Main effects of techniques {'; '.join(_in_words(design) for design in designs)}.",
        figure=page,
    )


def _rows(report: Report, design: Factorial) -> Iterator[Row]:
    for main in design.effects:
        name = sentence(short(design.in_words(main.factor, main.level)))
        yield Row(name, main.effect, verdicts(report)[id(main)], strong=True)
    for pair in design.interactions:
        first, second = (short(design.in_words(*one)) for one in zip(pair.factors, pair.levels, strict=True))
        yield Row(f"{first}\nwith {second}", pair.effect, verdicts(report)[id(pair)])


def _surest(rows: list[Row], most: int) -> list[Row]:
    """Effects before interactions, and of those the surest, in the order given."""
    return fold(rows, most, lambda row: (row.strong, -row.difference.p), what="rows", first="the surest")[0]


def _in_words(design: Factorial) -> str:
    names = [short(design.in_words(main.factor, main.level)) for main in design.effects]
    mains = [f"{name} {points(main.effect.mean)}" for name, main in zip(names, design.effects, strict=True)]
    return f"on {design.architecture}, in points: {listed(mains)}"
