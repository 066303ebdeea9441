"""Who earned the gain from one model's preset to the next one's."""

from collections.abc import Iterator

from bench.report.report import Report
from bench.report.sections.combinations.attributions import Attribution, attributions
from bench.report.show.chart import Chart
from bench.report.show.fold import MOST_PANELS, fold
from bench.report.show.forest import Row, forest
from bench.report.show.style import remark, seeds_words, short
from bench.report.show.words import listed, points, sentence


def draw(report: Report) -> Chart | None:
    """A panel per attribution; None where there is none."""
    if not attributions(report):
        return None
    shown, folded = fold(
        attributions(report),
        MOST_PANELS // 2,
        lambda attribution: sum(share.mean for share in attribution.shares.values()),
        what="pairs of models",
        first="those with the largest gains",
        table="attribution",
    )
    panels = [(f"From {one.start} to {one.end}", list(_rows(one))) for one in shown]
    counts = [row.difference.n for _, rows in panels for row in rows]
    page, cut = forest(panels, report.margin, counts)
    layers = any(attribution.layers is not None for attribution in shown)
    return Chart(
        name="shapley",
        title="Who earned the gain",
        caption="The gain from one model's preset to the next one's, shared out: what each technique adds, averaged "
        "over all orders of adding them (Shapley) on the first one's layers, in points of test accuracy with its 95 % "
        f"t interval over seeds ({seeds_words(counts)})."
        + remark(layers, "The shares and what the other layers add make up the whole gain.")
        + remark(cut, "An arrow ends an interval that goes on past 100 points.")
        + folded,
        alt=sentence("; ".join(_in_words(*pair) for pair in zip(shown, panels, strict=True))) + ".",
        figure=page,
    )


def _rows(attribution: Attribution) -> Iterator[Row]:
    for name, share in attribution.shares_in_words.items():
        yield Row(sentence(short(name)), share)
    if attribution.layers is not None:
        yield Row("Other layers", attribution.layers, details="No technique")


def _in_words(attribution: Attribution, panel: tuple[str, list[Row]]) -> str:
    shares = listed([f"{row.name.lower()} {points(row.difference.mean)}" for row in panel[1]])
    return f"from {attribution.start} to {attribution.end}, in points: {shares}"
