"""The machines that rows were made on, in words."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.report.analysis import Analysis
from bench.report.overhead import Overhead
from bench.report.speed import Speedup


def machine_facts(used: Iterable[str], machines: pd.DataFrame) -> list[str]:
    """A line a machine: processor, cores, system and versions. `machines` has columns as in MachineRow."""
    chosen = machines[machines["machine"].isin(set(used))].drop_duplicates("machine")
    lines = []
    for cpu, cores, gpu, system, python, torch in zip(
        chosen["cpu"], chosen["cores"], chosen["gpu"], chosen["os"], chosen["python"], chosen["torch"], strict=True
    ):
        accelerator = "" if pd.isna(gpu) else f", {gpu}"
        lines.append(f"{cpu}, {cores} cores{accelerator}, {system}, Python {python}, PyTorch {torch}")
    return lines


def where_measured(analysis: Analysis, samples: Sequence[Speedup] | Sequence[Overhead]) -> str:
    """A sentence for a caption: the machine that all samples were taken on, and whether the code was another than the
    reported trials'. Empty for no samples."""
    evidence = analysis.evidence
    if not samples:
        return ""
    facts = machine_facts([samples[0].machine], evidence.machines)
    where = facts[0] if facts else "a machine that the rows don't describe"
    other = "" if samples[0].code == evidence.protocol["code"] else ", with other training code than the trials'"
    return f"Measured on {where}{other}."
