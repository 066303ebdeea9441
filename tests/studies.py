"""Study files for tests, and the command line as a user has it, in this process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using
from bench.run.compiling import COMPILING

GOOD = '''"""Width and label smoothing on digits."""
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from bench.study import Architecture, Factor, Published, Rates, Recipe, Study, from_arrays


def tiny(shape, classes, *, width=4, batch_norm=True):
    norm = [nn.BatchNorm2d(width)] if batch_norm else []
    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3, stride=3),
        *norm,
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, classes),
    )


def smoothed(recipe, level):
    return recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))


STUDY = Study(
    architectures=[tiny],
    factors=[
        Factor("width", levels=(4, 8)),
        Factor("label_smoothing", levels=(0.0, 0.1), change=smoothed),
    ],
    data="digits",
    epochs=1,
    batch_size=64,
    seeds=1,
)
'''


@dataclass(frozen=True)
class Ran:
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


def edited(*edits: tuple[str, str], source: str = GOOD) -> str:
    """A study's text with each first text, which must be there, in place of the second."""
    for old, new in edits:
        assert old in source, old
        source = source.replace(old, new, 1)
    return source


def bench(*arguments: object) -> Ran:
    """Runs a command line in this process. Whether it was the first to compile kernels isn't told."""
    out, err = StringIO(), StringIO()
    with untouched(), patch("sys.stdout", out), patch("sys.stderr", err):
        code = run_command_line([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue().removeprefix(f"{COMPILING}\n"))


@contextmanager
def untouched() -> Iterator[None]:
    """Puts the study in use, and what a study's file imports, back as they were."""
    path, modules = list(sys.path), set(sys.modules)
    with using(catalogue()):
        yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("bench_study_"):
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    """A study's file."""
    file = folder / name
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    return file
