"""The rows of runs that measured on held-out training images, to choose by before the test set is met."""

from collections.abc import Mapping

import pandas as pd

from bench.plan.designs import DESIGNS
from bench.report.choosing import Chosen, Networks, choose
from bench.report.looked import PROTOCOL


def compared_rows(
    rows: pd.DataFrame, parts: pd.DataFrame, networks: Networks | None, protocol: Mapping[str, object]
) -> Chosen | None:
    """Those of a protocol among the rows on held-out images, without what was trained to select rates or by a search;
    where runs held out different numbers of images, of the number that most trials have. None where there are none."""
    told = rows[rows["design"].isin(list(DESIGNS))]
    for name in PROTOCOL:
        told = told[told[name] == protocol[name]]
    told = told[told["val"].isin(told["val"].mode().tail(1))]
    return choose(told, parts, networks) if len(told) else None
