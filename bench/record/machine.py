"""Facts about this machine that a reader of the rows needs, and none that name it, its user or its paths."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

from bench.record.schema import MachineRow


def this_machine(gpu: str | None = None, cuda: str | None = None, vectors: str | None = None) -> MachineRow:
    """The machine that this process runs on. `gpu`, `cuda` and `vectors` come from whoever uses them."""
    facts = {
        "cpu": _cpu_name(),
        "vectors": vectors,
        "cores": usable_cores(),
        "memory_bytes": _memory_bytes(),
        "gpu": gpu,
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "cuda": cuda,
    }
    digest = hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()[:12]
    return MachineRow(machine=digest, **facts)  # type: ignore[arg-type]  # each fact has its column's type


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return None
