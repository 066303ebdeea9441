"""The rows of searches of architectures, which were measured on held-out training images."""

import re
from collections.abc import Mapping

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.plan.cells import recorded_cell
from bench.plan.halving import AT_RANDOM, SEARCHED, rung_epochs
from bench.report.looked import PROTOCOL

_DESIGN = re.compile(rf"({SEARCHED}|{AT_RANDOM})(?:-([0-9]{{1,15}}))?", re.ASCII)


def searched_rows(rows: pd.DataFrame, protocol: Mapping[str, object]) -> pd.DataFrame:
    """The rows of searches for a protocol, in any precision, among those on held-out images, in the order in which they
    were recorded: with their cell's label in `cell`, their arm in `arm` and the most parameters that it allowed in
    `limit`, 0 where it had no limit. Their trials have the protocol's epochs, or fewer, as the rungs of the search
    have."""
    told = with_arms(rows)
    for name in PROTOCOL:
        if name not in ("epochs", "precision"):
            told = told[told[name] == protocol[name]]
    return told[told["epochs"].isin(rung_epochs(int(str(protocol["epochs"]))))].reset_index(drop=True)


def with_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of searches among these, of networks that there are in the study, with `cell`, `arm` and `limit`."""
    found = [_DESIGN.fullmatch(str(design)) for design in rows["design"]]
    names = ["architecture", *catalogue().columns]
    cells = [
        recorded_cell(values) if match else None
        for match, values in zip(found, rows[names].itertuples(index=False, name=None), strict=True)
    ]
    told = rows.assign(
        arm=[match[1] if match else "" for match in found],
        limit=[int(match[2] or 0) if match else 0 for match in found],
        cell=[cell.label if cell else "" for cell in cells],
    )
    return told[told["cell"] != ""].drop_duplicates(["trial", "cell"], keep="last")
