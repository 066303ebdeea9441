"""What of several folders' rows a report pools, and why not the others."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.plan.catalogue import catalogue
from bench.record.several import Several
from bench.report.choosing import SELECTED
from bench.report.evidence import Evidence
from bench.report.show.words import few, listed, plural

# What rows may differ in that keeps them apart, the plainest first.
_APART = ("data", "epochs", "batch_size", "optimizer", "precision", "device")


def render_pool(store: Several, evidence: Evidence) -> str:
    """Which rows of which folder, trained where, are in the report's evidence, and what keeps the others out of it."""
    rows = store.trials()
    rows = rows.assign(folder=[folder.as_posix() for folder in store.folders_of(rows["trial"])])
    machines = store.machines().drop_duplicates("machine").set_index("machine")["cpu"]
    kept = rows["trial"].isin({*evidence.trials["trial"], *evidence.unfinished["trial"]})
    lines = [f"Pooled on {evidence.dataset}, under one protocol:"]
    for folder, own in rows[kept].groupby("folder", sort=False):
        cells = own[["architecture", *_levels(own)]].drop_duplicates()
        where = listed(sorted({str(machines.get(name, name)).strip() for name in own["machine"]}))
        lines.append(f"  {folder}: {plural(len(own), 'trial')} of {plural(len(cells), 'cell')}, on {where}")
    left_out = list(_left_out(rows[~kept], evidence))
    return "\n".join([*lines, *(["Not pooled:", *left_out] if left_out else [])])


def _left_out(rows: pd.DataFrame, evidence: Evidence) -> Iterator[str]:
    for folder, own in rows.groupby("folder", sort=False):
        reasons = Counter(_reason(row, evidence) for row in own.to_dict("records"))
        said = [f"{plural(count, 'trial')} {reason}" for reason, count in reasons.most_common()]
        yield f"  {folder}: {few(said)}"


def _reason(row: Mapping[Any, Any], evidence: Evidence) -> str:
    for name in _APART:
        if row[name] != evidence.protocol[name]:
            if name == "data":
                return "on other images"
            return f"with {name.replace('_', ' ')} {row[name]}, not {evidence.protocol[name]}"
    if evidence.protocol["rate"] == SELECTED and row["lr"] != row["selected_lr"]:
        return "at other rates than the cells' own"
    return "of other code, networks, levels or rates than the newest, or trained anew since"


def _levels(rows: pd.DataFrame) -> list[str]:
    return [name for name in catalogue().columns if name in rows]
