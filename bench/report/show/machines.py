"""The machines that rows were made on, in words."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import pandas as pd

from bench.report.report import Report


class Timed(Protocol):
    """What was timed on a machine, with some code."""

    @property
    def machine(self) -> str:
        """The machine's digest."""

    @property
    def code(self) -> str:
        """The training code's."""


def machine_facts(used: Iterable[str], machines: pd.DataFrame) -> list[str]:
    """A line a machine: processor, cores, system and versions. `machines` has columns as in MachineRow."""
    chosen = machines[machines["machine"].isin(set(used))].drop_duplicates("machine")
    lines = []
    names = ["cpu", "vectors", "cores", "gpu", "os", "python", "torch"]
    for cpu, vectors, cores, gpu, system, python, torch in chosen[names].itertuples(index=False, name=None):
        accelerator = "" if pd.isna(gpu) else f", {gpu}"
        width = "" if pd.isna(vectors) else f" ({vectors})"
        lines.append(f"{cpu}{width}, {cores} cores{accelerator}, {system}, Python {python}, PyTorch {torch}")
    return lines


def kinds_of_bits(used: "pd.Series[str]", machines: pd.DataFrame) -> dict[str, int]:
    """How many of the rows made on the machines `used` come from each kind of machine on which a trial gives the same
    bits, where that is known: the vectors of its CPU and the version of PyTorch."""
    known = machines.drop_duplicates("machine").dropna(subset=["vectors"])
    kinds = dict(zip(known["machine"], known["vectors"] + ", PyTorch " + known["torch"], strict=True))
    counts = used.map(kinds).value_counts()
    return {str(kind): int(counts[kind]) for kind in sorted(counts.index)}


def where_measured(report: Report, samples: Sequence[Timed]) -> str:
    """A sentence for a caption: the machine that all samples were taken on, and whether the code was another than the
    reported trials'. Empty for no samples."""
    evidence = report.evidence
    if not samples:
        return ""
    facts = machine_facts([samples[0].machine], evidence.machines)
    where = facts[0] if facts else "a machine that the rows don't describe"
    other = "" if samples[0].code == evidence.protocol["code"] else ", with other training code than the trials'"
    return f"Measured on {where}{other}."
