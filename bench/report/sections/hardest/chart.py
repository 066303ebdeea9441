"""The test images that most trials miss."""

import base64
import io

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from bench.errors import BenchError
from bench.report.report import Report
from bench.report.sections.hardest import HardImage, hardest_images
from bench.report.show.chart import Chart
from bench.report.show.style import SMALL, figure
from bench.report.show.words import plural

_COLUMNS = 8

# A class's number, or a name as short, needs a word before it.
_SHORT = 3


class ImageError(BenchError):
    """A recorded image is none."""


def draw(report: Report) -> Chart | None:
    """A grid of them, hardest first; None where no image was recorded."""
    images = [image for image in hardest_images(report) if image.png is not None]
    if not images:
        return None
    rows = -(-len(images) // _COLUMNS)
    page = figure(1.0 * rows)
    panels = page.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes in panels:
        axes.set_axis_off()
    for axes, image in zip(panels, images, strict=False):
        _draw_image(axes, image, image.class_name(report.evidence.class_names))
    trials = plural(len(report.evidence.correct), "trial")
    page.supxlabel(f"shares of {trials}", fontsize=SMALL)
    return Chart(
        name="hardest",
        title="The hardest images",
        caption=f"The test images that most of {trials} (every cell and seed) got wrong, hardest first, with their "
        "label and the share of trials that missed them.",
        alt=f"{plural(len(images), 'test image')}; the hardest was missed by {images[0].missed * 100:.0f} % of trials.",
        figure=page,
    )


def _draw_image(axes: Axes, image: HardImage, label: str) -> None:
    try:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.png or "", validate=True)), formats=["PNG"]))
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"images.csv has no PNG of image {image.index} ({error}): delete the line") from None
    axes.imshow(pixels, cmap="gray", interpolation="none")
    axes.text(
        0.5,
        -0.06,
        f"{label if len(label) > _SHORT else f'label {label}'}\nmissed: {image.missed * 100:.0f} %",
        transform=axes.transAxes,
        ha="center",
        va="top",
        fontsize=7,
    )
