"""What several tests share: small data, tiny trials."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.plan import catalogue as catalogue_module
from bench.studies.data import DATASETS, IDX_FILES
from bench.train.data import Data, Split
from bench.train.fast.activation import Activation


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for processes that start, and for signals to arrive."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _catalogue() -> Iterator[None]:
    """A test that puts a study in use leaves the one of before."""
    before = list(catalogue_module._current)
    yield
    catalogue_module._current[:] = before


@pytest.fixture(scope="session")
def digits() -> Data:
    return DATASETS["digits"].load(Path("unused"))


@pytest.fixture(scope="session")
def few_digits(digits: Data) -> Data:
    """200 training and 100 test images, for tests that train."""
    return Data(
        "digits",
        Split(digits.train.images[:200], digits.train.labels[:200]),
        Split(digits.held_out.images[:100], digits.held_out.labels[:100]),
        classes=10,
    )


def activation(
    channels: int, *, batch_norm: bool = False, pool: int = 1, dropout: float = 0.0, inplace: bool = False
) -> Activation:
    """A fused layer for maps of so many channels."""
    norm = nn.BatchNorm2d(channels) if batch_norm else None
    return Activation(norm, pool=pool, dropout=dropout, inplace=inplace)


def write_idx_files(folder: Path, train: int = 20, test: int = 10) -> None:
    """Four small files in MNIST's format (magic number, sizes, bytes)."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for file in IDX_FILES:
        count = train if file.startswith("train") else test
        if "images" in file:
            header = struct.pack(">IIII", 0x803, count, 28, 28)
            pixels = torch.randint(256, (count * 784,), generator=generator, dtype=torch.uint8)
        else:
            header = struct.pack(">II", 0x801, count)
            pixels = torch.arange(count, dtype=torch.uint8) % 10
        (folder / file).write_bytes(header + pixels.numpy().tobytes())
