"""`python -m tests.narrow` really computes without wide vectors; otherwise it would be green for nothing."""

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from tests.narrow import NARROW

SAY = """
import numpy as np, torch
from bench.train.fast import kernels

maps, out = np.ones((8, 64), np.float32), np.ones((8, 64), np.float32)
kernels.forward(maps, 8, 1, 4, None, None, np.float32(1), np.uint32(0), None, out, None)
print("aten", torch.backends.cpu.get_cpu_capability())
print("numba", "zmm" if any("zmm" in text for text in kernels.forward.inspect_asm().values()) else "no zmm")
maps, weight = torch.ones(8, 16, 26, 26), torch.ones(16, 16, 3, 3)
with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
    torch.conv2d(maps, weight)
"""


def test_narrow_switches_wide_vectors_off(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    tox = ConfigParser(interpolation=None)
    tox.read(root / "tox.ini")
    assert set(NARROW) <= set(tox["testenv:tests"]["pass_env"].split())
    # A kernel that comes from the disk has no assembly to show.
    environment = os.environ | NARROW | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    asked = subprocess.run([sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, check=True)
    assert "aten AVX512" not in asked.stdout
    assert "numba no zmm" in asked.stdout
    assert "onednn_verbose" in asked.stdout
    assert "avx512" not in asked.stdout.lower().replace("avx-512", "avx512")
