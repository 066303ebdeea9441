"""What it costs to begin: `python -m tests.perf.startup --rounds 3`.

Prints seconds, and the CPU seconds of all processes, until `bench --help` is there, and until `bench run` has recorded
its first trial, of a single epoch on the embedded digits: without compiled kernels on the disk and with them. It judges
nothing; on a machine that does other work too the CPU seconds are what counts.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from bench.run.progress import format_duration

# Two models and two levels: workers have more than one network to begin with, as in any run.
_RUN = ("run", "--models", "model1,model3", "--factors", "batch_norm", "--seeds", "1", "--epochs", "1")
_QUIET = ("--dataset", "digits", "--no-timing", "--no-report")


def main(arguments: Sequence[str]) -> None:
    """Prints the medians over rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    given = parser.parse_args(arguments)
    samples: dict[str, list[tuple[float, float]]] = {}
    for _ in range(given.rounds):
        samples.setdefault("bench --help", []).append(_until_done(["--help"]))
        with TemporaryDirectory() as name:
            compiled = {**os.environ, "NUMBA_CACHE_DIR": f"{name}/compiled"}
            for what in ("bench run, nothing compiled", "bench run, compiled before"):
                folder = Path(name) / what.replace(" ", "-")
                samples.setdefault(what, []).append(_until_first_trial(folder, given.precision, compiled))
    lines = [
        (what, *(statistics.median(values) for values in zip(*of_what, strict=True)), len(of_what))
        for what, of_what in samples.items()
    ]
    print(tabulate(lines, ("until", "seconds", "CPU seconds", "rounds"), floatfmt=("", ".2f", ".2f", "")))


def _until_done(command: Sequence[str]) -> tuple[float, float]:
    before, start = _children_seconds(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, _children_seconds() - before


def _until_first_trial(folder: Path, precision: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds until a trial has its row; CPU seconds until all have, which are few and short."""
    recorded = folder / "digits" / "trials.csv"
    before, start = _children_seconds(), time.perf_counter()
    command = [sys.executable, "-m", "bench", *_RUN, *_QUIET, "--precision", precision, "--results", str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not _has_a_row(recorded):
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"bench run ended with {process.returncode} after {format_duration(seconds)}: {said}")
    return seconds, _children_seconds() - before


def _has_a_row(path: Path) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") > 1


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(sys.argv[1:])
