"""Runs the tests whose numbers depend on the width of the CPU's vectors, as on a CPU that has AVX2 and no AVX-512:
`python -m tests.narrow`, or with pytest's arguments `python -m tests.narrow tests/test_run.py`."""

import os
import subprocess
import sys

# By its name alone numba would keep the features that this CPU has and a Haswell lacks.
NARROW = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma",
}
FILES = ("activation", "chain", "fit", "plain")
HOW = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadgroup")


def main() -> int:
    """The exit code of pytest."""
    files = sys.argv[1:] or [f"tests/test_{name}.py" for name in FILES]
    command = [sys.executable, "-m", "pytest", *HOW, *files]
    return subprocess.run(command, env=os.environ | NARROW, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
