"""The test images that most trials miss."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.report import Report, once
from bench.report.sections.section import Section
from bench.report.show.table import Table, number_column

HARDEST_IMAGES = 24


@dataclass(frozen=True, slots=True)
class HardImage:
    """A test image, the share of all trials that missed it, and the image as base64 of a PNG, None if not recorded."""

    index: int
    missed: float
    label: int | None
    png: str | None

    def class_name(self, names: Sequence[str]) -> str:
        """What the image's class is called; empty where its label wasn't recorded."""
        if self.label is None:
            return ""
        return names[self.label] if self.label < len(names) else str(self.label)


@once
def hardest_images(report: Report) -> tuple[HardImage, ...]:
    """The test images that most trials missed, hardest first."""
    rows = report.evidence.images
    recorded = {
        image: (label, png) for image, label, png in zip(rows["image"], rows["label"], rows["png"], strict=True)
    }
    hardest = report.evidence.hardest_images(HARDEST_IMAGES)
    return tuple(HardImage(index, missed, *recorded.get(index, (None, None))) for index, missed in hardest)


def hardest_table(report: Report) -> Table:
    """One row per image."""
    names = report.evidence.class_names
    return Table(
        name="hardest",
        title="The hardest test images",
        caption="The test images that most trials missed, with their index in the test set.",
        columns=(
            number_column("image", "image", str),
            number_column("label", "label", str),
            number_column("missed by", "missed", lambda share: f"{share:.0%}".replace("%", " %")),
        ),
        rows=tuple(
            {"image": image.index, "label": image.class_name(names), "missed": image.missed}
            for image in hardest_images(report)
        ),
    )


SECTION = Section("hardest", tables=(hardest_table,), charts=("hardest.chart",))
