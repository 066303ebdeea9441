"""What networks that know nothing of the harness gain from it: `python -m tests.perf.foreign_networks --rounds 5`.

A small ResNet and the network of pytorch/examples/mnist, from a file of their own, on the embedded digits; the harness
against the plain loop, both on all cores, in turns. Prints images a second and the ratio with its 95 % interval. It
judges nothing.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cli import run_command_line
from tests.foreign import ZOO

STUDY = """from nets import mnist_example, resnet8

from bench.study import Study

STUDY = Study(architectures=[resnet8, mnist_example], data="digits")
"""


def main(arguments: list[str]) -> int:
    """Runs `bench speed` on the study, in a folder that is gone afterwards; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    # The plain loop trains in it.
    parser.add_argument("--precision", default="fp32")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ZOO, folder / "nets.py")
        file = folder / "foreign.py"
        file.write_text(STUDY)
        options = ["--rounds", str(given.rounds), "--precision", given.precision, "--results", str(folder / "results")]
        return run_command_line(["speed", str(file), *options])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
